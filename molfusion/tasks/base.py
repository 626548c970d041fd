"""What every task shares: an encoder, what it reads, how it starts and how it is optimised. Nothing else."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import lightning as L
import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor, nn

from molfusion.batch import MoleculeBatch
from molfusion.encoders.base import Encoder, NotApplicable, load_pretrained
from molfusion.nn.ranks import several_ranks
from molfusion.sharding import agree_on_buffers, shard
from molfusion.tasks.needs import Needs, lacking
from molfusion.tasks.schedule import Schedule, WarmupCosine, planned_steps
from molfusion.views.base import View
from molfusion.views.text import TextView
from molfusion.weights.read import read_state


class Task(L.LightningModule, ABC):
    """A question put to an encoder.

    A subclass sets `views` and defines `losses`; validation and test collect whatever `observe` returns for each
    batch and hand it to `evaluate` when the split is through.
    """

    monitor: ClassVar[str] = "val/score"  # what checkpoints are chosen by, on validation; higher is better
    validates_in_full: bool = True  # while it trains, as it does afterwards
    needs: Needs = ""  # of a card, beyond molecules
    views: frozenset[View]

    def __init__(
        self,
        optimizer: OptimizerCallable = torch.optim.AdamW,
        schedule: Schedule | None = None,
        start: Path | None = None,
        weights: dict[str, float] | None = None,
    ) -> None:
        """Common settings.

        Args:
            optimizer: given the parameters that train.
            schedule: of its learning rate.
            start: a checkpoint of the same task to start from (its weights only).
            weights: of the losses; 1 where none is given.
        """
        super().__init__()
        self.weights = weights or {}
        self.optimizer, self.schedule = optimizer, schedule or WarmupCosine()
        self.start = start
        self._observed: list[dict[str, Any]] = []
        self.observed: dict[str, list[dict[str, Any]]] = {}  # split -> rows of predictions.parquet

    # -- what a task defines -------------------------------------------------------------------------

    @abstractmethod
    def losses(self, batch: MoleculeBatch) -> dict[str, Tensor]:
        """Named losses; their weighted sum is trained."""

    @abstractmethod
    def observe(self, batch: MoleculeBatch) -> dict[str, Any]:
        """What to remember of one evaluation batch: tensors on the CPU and lists, one entry a molecule."""

    @abstractmethod
    def evaluate(self, observed: list[dict[str, Any]], split: str) -> tuple[dict[str, float], list[dict[str, Any]]]:
        """Metrics of a whole split (with `score`), and one row a prediction."""

    @abstractmethod
    def exports(self) -> dict[str, Encoder]:
        """The encoders worth keeping, by the name of their slot in the config."""

    def inputs(self) -> frozenset[View]:
        """The views by which the question is answered, each of which one can take away: what the encoder reads of the
        molecule. A caption that it is compared with, or that it learns to say, is none.
        """
        read = self.exports()["encoder"].views
        return frozenset(v for v in read if not (isinstance(v, TextView) and v.reads == "text"))

    def predictions(self, batch: MoleculeBatch) -> list[dict[str, Any]]:
        """What is said of molecules whose answers nobody knows: rows with at least `id` and `smiles`."""
        raise NotApplicable(f"{type(self).__name__} predicts nothing of new molecules")

    def recall(self, checkpoint: dict[str, Any]) -> None:
        """Take from a checkpoint what `setup` learns of the training data, which predicting does without."""

    # -- Lightning -----------------------------------------------------------------------------------

    def setup(self, stage: str) -> None:
        """Before anything is trained or scored on the data, see whether they have what the question needs.

        Raises:
            NotApplicable: they do not.
        """
        data: Any = getattr(self.trainer, "datamodule", None)
        if train := data.records.get("train") if data is not None else None:
            told = any(record.text.strip() for record in train)
            if why := lacking(self.needs, type(self).__name__, data.card.name, told, bool(data.targets)):
                raise NotApplicable(why)

    def configure_model(self) -> None:
        """Published weights arrive here, once, and before any checkpoint; then they are shared out, if they are to be."""
        load_pretrained(self)
        if self.start is not None:
            self.load_state_dict(read_state(self.start))
            self.start = None
        if self.device_mesh is not None:
            shard(self, self.device_mesh)

    def training_step(self, batch: MoleculeBatch, index: int) -> Tensor:
        losses = self.losses(batch)
        total = self.weighted(losses)
        logged = {f"train/{name}": value.detach() for name, value in losses.items()} if len(losses) > 1 else {}
        self.log_dict({"train/loss": total.detach(), **logged}, batch_size=len(batch))
        return total

    def weighted(self, losses: dict[str, Tensor]) -> Tensor:
        """The sum that is trained.

        Raises:
            ValueError: a weight for a loss that is not there.
        """
        if unknown := self.weights.keys() - losses.keys():
            raise ValueError(f"weights names {min(unknown)!r}; the losses are {', '.join(losses)}")
        return torch.stack([self.weights.get(name, 1.0) * value for name, value in losses.items()]).sum()

    def on_validation_epoch_start(self) -> None:
        agree_on_buffers(self)

    def validation_step(self, batch: MoleculeBatch, index: int) -> None:
        self._observed.append(self.observe(batch))

    def test_step(self, batch: MoleculeBatch, index: int) -> None:
        self._observed.append(self.observe(batch))

    def on_validation_epoch_end(self) -> None:
        self._close("val")

    def on_test_epoch_end(self) -> None:
        self._close("test")

    def _close(self, split: str) -> None:
        observed, self._observed = _all_ranks(self._observed), []
        metrics, self.observed[split] = self.evaluate(observed, split)
        self.log_dict({f"{split}/{name}": value for name, value in metrics.items()}, rank_zero_only=False)

    def configure_optimizers(self) -> Any:
        optimizer = self.optimizer(self.trained_parameters())
        scheduler = self.schedule.scheduler(optimizer, planned_steps(self.trainer))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def trained_parameters(self) -> list[nn.Parameter]:
        return [p for p in self.parameters() if p.requires_grad]

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["generators"] = _all_ranks([_generators()])

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        if self._trainer is not None and self.trainer.training and (saved := checkpoint.get("generators")):
            self._generators_to_set = saved[self.global_rank % len(saved)]

    def on_train_start(self) -> None:
        # Last of all before the first batch: setting up a run draws random numbers of its own.
        if (saved := getattr(self, "_generators_to_set", None)) is not None:
            _set_generators(saved)
            self._generators_to_set = None
        elif self.global_rank:
            torch.manual_seed(torch.initial_seed() + self.global_rank)  # ranks must not drop out the same units


def _generators() -> dict[str, Tensor]:
    """State of this process's random number generators, as tensors (checkpoints load with `weights_only`)."""
    state = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def _set_generators(state: dict[str, Tensor]) -> None:
    torch.set_rng_state(state["cpu"].cpu())
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"].cpu())


def _all_ranks(mine: list[Any]) -> list[Any]:
    """Everybody's entries, equally many each, in the order in which one process would have made them."""
    if not several_ranks():
        return mine
    gathered: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(gathered, mine)
    return [entry for at_once in zip(*gathered, strict=True) for entry in at_once]


def named_rows(observed: list[dict[str, Any]], names: list[str]) -> Iterator[tuple[Any, ...]]:
    """The entries of several fields, molecule by molecule, over all batches."""
    for batch in observed:
        yield from zip(*(batch[name] for name in names), strict=True)

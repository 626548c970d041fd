"""Let an encoder train itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor

from molfusion.batch import MoleculeBatch
from molfusion.decoders.base import Reconstructs
from molfusion.encoders.base import Encoder, Objective
from molfusion.metrics.generation import Asked, inchikeys, scores
from molfusion.tasks.base import Task
from molfusion.tasks.schedule import Schedule

IN_BATCH = "in batch: "  # before the names of losses, as columns of predictions


class Pretraining(Task):
    """Minimise the weighted sum of an objective's own losses; validation is the same sum on held-out molecules.

    Of an objective that reconstructs molecules, what comes back is compared with what went in, but not while it trains;
    `score` is then their mean MACCS similarity instead of minus the loss.
    """

    def __init__(
        self,
        objective: Objective,
        weights: dict[str, float] | None = None,
        optimizer: OptimizerCallable = torch.optim.AdamW,
        schedule: Schedule | None = None,
        start: Path | None = None,
    ) -> None:
        """Pretraining of the encoder inside an objective.

        Args:
            objective: such as `UniMolPretraining(encoder)`; what is exported is its encoder.
            weights: of its losses; 1 where none is given.
            optimizer: given the parameters that train.
            schedule: of its learning rate.
            start: a checkpoint of the same task to start from.
        """
        super().__init__(optimizer, schedule, start, weights)
        self.objective = objective
        self.validates_in_full = not isinstance(objective, Reconstructs)
        self.views = objective.views

    def losses(self, batch: MoleculeBatch) -> dict[str, Tensor]:
        return self.objective.losses(batch)

    def observe(self, batch: MoleculeBatch) -> dict[str, Any]:
        # The same noise at every validation, so that epochs compare; and training's own stream stays untouched.
        with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
            torch.manual_seed(len(self._observed))
            losses = {k: v.item() for k, v in self.losses(batch).items()}
        seen: dict[str, Any] = {"ids": batch.ids, "groups": batch.groups, "losses": losses}
        if isinstance(self.objective, Reconstructs) and self.trainer.state.fn != "fit":
            back = self.objective.reconstruct(batch)
            rows = zip(batch.ids, batch.groups, batch.smiles, batch.scopes, back, strict=True)
            seen["asked"] = [Asked(i, group, wanted, [made]) for i, group, wanted, scope, made in rows if scope == "all"]
        return seen

    def evaluate(self, observed: list[dict[str, Any]], split: str) -> tuple[dict[str, float], list[dict[str, Any]]]:
        total = sum(len(batch["ids"]) for batch in observed)
        means = {
            name: sum(batch["losses"][name] * len(batch["ids"]) for batch in observed) / total
            for name in observed[0]["losses"]
        }
        metrics = {**means, "loss": self._loss(means)}
        asked = {a.id: a for batch in observed for a in batch.get("asked", [])}  # ranks repeat one to keep step
        if not asked:
            return metrics | {"score": -metrics["loss"]}, list(self._by_batch(observed))
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        made, rows = scores(list(asked.values()), inchikeys([r.smiles for r in data.records["train"]]))
        learned = {row["id"]: row for row in self._by_batch(observed)}
        return metrics | made, [learned[row["id"]] | row for row in rows]

    def _loss(self, losses: dict[str, float]) -> float:
        return float(self.weighted({name: torch.tensor(value) for name, value in losses.items()}))

    def _by_batch(self, observed: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """A row a molecule with its batch and that batch's losses, which are not each molecule's own."""
        for number, batch in enumerate(observed):
            loss = self._loss(batch["losses"])
            told = {**batch["losses"], "loss": loss, "score": -loss}
            told = {f"{IN_BATCH}{name}": value for name, value in told.items()} | {"batch": number}
            yield from ({"id": i, "group": group, **told} for i, group in zip(batch["ids"], batch["groups"], strict=True))

    def exports(self) -> dict[str, Encoder]:
        return {"encoder": self.objective.encoder}

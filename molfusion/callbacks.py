"""What a run leaves behind while it trains: a log, checkpoints, a count of its cost."""

from __future__ import annotations

import csv
import math
import os
import resource
import time
from argparse import Namespace
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.pytorch.callbacks import Checkpoint, ModelCheckpoint
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from molfusion.batch import MoleculeBatch


class RunLog(Logger):
    """`log.csv`: one row a number (step, epoch, name, value), appended, so that a resumed run continues it."""

    def __init__(self, folder: str) -> None:
        super().__init__()
        self.path = Path(folder) / "log.csv"

    @property
    def name(self) -> str:
        return ""

    @property
    def version(self) -> str:
        return ""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = not self.path.exists()
        epoch = metrics.pop("epoch", "")
        with self.path.open("a", newline="") as file:
            writer = csv.writer(file)
            if new:
                writer.writerow(["step", "epoch", "name", "value"])
            writer.writerows([step, epoch, name, f"{value:.6g}"] for name, value in metrics.items())

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """The config is a file of its own."""


class AtomicCheckpoints(TorchCheckpointIO):
    """A checkpoint replaces the one before only when it is whole on disk."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        with temporary.open("wb") as file:
            torch.save(checkpoint, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)


class LastCheckpoint(Checkpoint):
    """`last.ckpt`: every so many steps, after each validation and when training ends, so that a killed run goes on.

    A `Checkpoint`, so that Lightning calls it after the other callbacks, and `best` is settled before it is written down.
    Never between the last batch of an epoch (or the batch before a validation) and that validation: a run that goes on
    from there would leave the validation out, and Lightning's own count of the epoch would be wrong from then on.
    """

    def __init__(self, path: Path, every: int) -> None:
        self.path, self.every = path, every
        self.saved = 0  # the step of the newest one

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self.saved = trainer.global_step

    def on_train_batch_end(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Any, batch: MoleculeBatch, index: int
    ) -> None:
        # As Lightning counts; without an interval in batches it validates by the clock, or not at all.
        count = index if trainer.check_val_every_n_epoch is not None else trainer.fit_loop.total_batch_idx
        validates = (count + 1) % (trainer.val_check_batch or math.inf) == 0
        if trainer.global_step - self.saved >= self.every and not (validates or trainer.is_last_batch):
            self.saved = trainer.global_step
            trainer.save_checkpoint(self.path)

    def on_validation_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        if trainer.state.fn == "fit":
            self.saved = trainer.global_step
            trainer.save_checkpoint(self.path)

    def on_train_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        trainer.save_checkpoint(self.path)


def checkpoints(folder: Path, monitor: str, every: int) -> list[L.Callback]:
    """`best.ckpt` by the monitored metric (higher is better), weights only; `last.ckpt` with all that goes on."""
    held = folder / "checkpoints"
    best = ModelCheckpoint(
        held, "best", monitor=monitor, mode="max", save_weights_only=True, enable_version_counter=False,
        save_on_train_epoch_end=False,  # as soon as it is measured, so that `last` knows of it
    )  # fmt: skip
    return [best, LastCheckpoint(held / "last.ckpt", every)]


class Validated(L.Callback):
    """What the newest validation within training found, and after which step."""

    def __init__(self) -> None:
        self.step = -1  # none yet
        self.metrics: dict[str, float] = {}

    def on_validation_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        if trainer.state.fn == "fit":
            self.step = trainer.global_step
            found = trainer.callback_metrics.items()
            self.metrics = {name: float(value) for name, value in found if name.startswith("val/")}


class Meter(L.Callback):
    """What training costs: seconds without validation, molecules a second, padding, memory."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.molecules = 0
        self.looked = 0
        self.padding: dict[str, float] = {}
        self._since = 0.0

    def on_train_batch_start(self, trainer: L.Trainer, *args: Any) -> None:
        if self._since == 0.0:
            self._since = time.perf_counter()

    def on_train_batch_end(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Any, batch: MoleculeBatch, index: int
    ) -> None:
        # The clock runs on between batches: loading the next one is part of the cost.
        now = time.perf_counter()
        self.seconds += now - self._since
        self._since = now
        self.molecules += len(batch) * trainer.world_size
        # Not at every step: looking at masks waits for the device.
        if trainer.global_step % trainer.log_every_n_steps == 0:  # type: ignore[attr-defined]
            self.looked += 1
            for view, share in batch.padding().items():
                self.padding[view] = self.padding.get(view, 0.0) + share
            module.log_dict(
                {"train/molecules_per_second": self.molecules / max(self.seconds, 1e-9)}
                | {f"train/padding/{view}": share / self.looked for view, share in self.padding.items()}
            )

    def on_validation_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._since = 0.0

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._since = 0.0

    def state_dict(self) -> dict[str, Any]:
        return {"seconds": self.seconds, "molecules": self.molecules, "looked": self.looked, "padding": self.padding}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.seconds, self.molecules = state["seconds"], state["molecules"]
        self.looked, self.padding = state["looked"], dict(state["padding"])

    def summary(self) -> dict[str, Any]:
        """For metrics.json."""
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return {
            "train_seconds": round(self.seconds, 2),
            "molecules_per_second": round(self.molecules / max(self.seconds, 1e-9), 1),
            "padding": {view: round(share / max(1, self.looked), 4) for view, share in self.padding.items()},
            "peak_memory_mb": round(peak, 1),
            "peak_gpu_memory_mb": round(torch.cuda.max_memory_allocated() / 2**20, 1) if torch.cuda.is_available() else None,
        }

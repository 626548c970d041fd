"""What a person sees while a command works, and when it is done."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import RichProgressBar
from rich.console import Console
from rich.table import Table

from molfusion.tasks.schedule import planned_steps


class Lines(L.Callback):
    """For logs and pipes, where bars would be noise: a line after each validation."""

    def __init__(self) -> None:
        self.start = time.monotonic()

    def on_validation_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        if not trainer.is_global_zero or trainer.state.fn != "fit" or trainer.sanity_checking:
            return
        metrics = trainer.callback_metrics
        shown = {k: float(metrics[k]) for k in ("train/loss", "val/score") if k in metrics}
        spent = time.monotonic() - self.start
        values = "  ".join(f"{k} {v:.4f}" for k, v in shown.items())
        # Not the trainer's own estimate of the steps: it may wait for the other ranks, which do not come here.
        print(f"step {trainer.global_step}/{planned_steps(trainer)}  {values}  {spent:.0f} s", flush=True)


def bars() -> list[L.Callback]:
    """Rich bars on a terminal, lines elsewhere."""
    return [RichProgressBar()] if sys.stdout.isatty() else [Lines()]


def print_metrics(metrics: Mapping[str, Any], split: str) -> None:
    """One split's metrics as a table."""
    table = Table("metric", split, box=None, pad_edge=False)
    for name, value in metrics.items():
        if name.startswith(f"{split}/"):
            table.add_row(name.removeprefix(f"{split}/"), f"{value:.4f}")
    Console().print(table)

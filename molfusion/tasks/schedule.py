"""Learning rates over a run."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import lightning as L
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


class Schedule(ABC):
    """A factor of the optimiser's own rate at each step."""

    @abstractmethod
    def factor(self, step: int, steps: int) -> float:
        """At optimiser step `step` of `steps`."""

    def scheduler(self, optimizer: Optimizer, steps: int) -> LambdaLR:
        return LambdaLR(optimizer, lambda step: self.factor(step, steps))


@dataclass
class Constant(Schedule):
    """The optimiser's rate throughout."""

    def factor(self, step: int, steps: int) -> float:
        return 1.0


@dataclass
class WarmupCosine(Schedule):
    """Linear from 0 over `warmup` steps (a share of the run if below 1), then half a cosine down to `floor`."""

    warmup: float = 0.05
    floor: float = 0.01

    def factor(self, step: int, steps: int) -> float:
        warmup = max(1, round(self.warmup * steps if self.warmup < 1 else self.warmup))
        if step < warmup:
            return (step + 1) / warmup
        progress = min(1.0, (step - warmup) / max(1, steps - warmup))
        return self.floor + (1 - self.floor) * 0.5 * (1 + math.cos(math.pi * progress))


def planned_steps(trainer: L.Trainer) -> int:
    """Optimiser steps of the whole training.

    The trainer's own estimate starts the train loader, which it must not do before a checkpoint has said where to.

    Raises:
        ValueError: neither `max_steps` nor `max_epochs` ends the training.
    """
    if trainer.max_steps > 0:
        return trainer.max_steps
    if not trainer.max_epochs or trainer.max_epochs < 0:
        raise ValueError("a schedule needs trainer.max_epochs or trainer.max_steps")
    batches = len(trainer.datamodule.train_dataloader())  # type: ignore[attr-defined]
    limit = trainer.limit_train_batches
    batches = min(batches, limit) if isinstance(limit, int) else int(batches * limit)
    return math.ceil(batches / trainer.accumulate_grad_batches) * trainer.max_epochs

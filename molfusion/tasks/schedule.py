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
    from_zero: bool = False  # the first step has rate 0, as Hugging Face's schedules do

    def factor(self, step: int, steps: int) -> float:
        warmup = max(1, round(self.warmup * steps if self.warmup < 1 else self.warmup))
        if step < warmup:
            return (step + (not self.from_zero)) / warmup
        progress = min(1.0, (step - warmup) / max(1, steps - warmup))
        return self.floor + (1 - self.floor) * 0.5 * (1 + math.cos(math.pi * progress))


@dataclass
class CosineRestarts(Schedule):
    """fairseq's cosine (MoleBLEND): linear from `start` over `warmup` steps, half a cosine to `floor`, then anew, lower.

    A period is what the run has left after the warm-up, unless `period` says otherwise: a run that keeps to its steps
    sees no restart. Each period is `growth` times as long as the one before and `shrink` times as high.
    """

    warmup: int = 20000
    start: float = 0.0
    floor: float = 0.0
    period: int | None = None
    growth: float = 1.0
    shrink: float = 0.1

    def factor(self, step: int, steps: int) -> float:
        if step < self.warmup:
            return self.start + step * (1 - self.start) / self.warmup
        left, length, height = float(step - self.warmup), float(self.period or max(1, steps - self.warmup)), 1.0
        while left >= length:
            left, length, height = left - length, length * self.growth, height * self.shrink
        low = self.floor * height
        return low + 0.5 * (height - low) * (1 + math.cos(math.pi * left / length))


@dataclass
class EpochCosine(Schedule):
    """3D-MoLM's in stages 1 and 2 (that of LAVIS): a linear warm-up within the first epoch, then half a cosine in steps of
    whole epochs, which does not begin where the warm-up ended.

    Args:
        epochs: of the whole training, as in `trainer.max_epochs`.
        warmup: optimiser steps; at most as many as an epoch has batches.
        start: of the warm-up, as a share of the optimiser's rate.
        floor: of the cosine.
        accumulate: as in `trainer.accumulate_grad_batches`: theirs compares steps with batches.
    """

    epochs: int = 50
    warmup: int = 1000
    start: float = 0.01
    floor: float = 0.05
    accumulate: int = 1

    def factor(self, step: int, steps: int) -> float:
        in_epoch = max(1, math.ceil(steps / self.epochs))
        epoch = step // in_epoch
        if epoch == 0:
            warmup = max(1, min(self.warmup, in_epoch * self.accumulate))
            return min(1.0, self.start + (1 - self.start) * step / warmup)
        return self.floor + (1 - self.floor) * 0.5 * (1 + math.cos(math.pi * epoch / self.epochs))


@dataclass
class EpochDecay(Schedule):
    """`rate` times less from epoch to epoch (torch's ExponentialLR, stepped once an epoch), as 3M-Diffusion's autoencoder."""

    epochs: int = 50  # of the run
    rate: float = 0.9

    def factor(self, step: int, steps: int) -> float:
        return float(self.rate ** (step * self.epochs // max(1, steps)))


@dataclass
class StepCosine(Schedule):
    """3D-MoLM's in stage 3: a linear warm-up, then half a cosine that counts from the first step of the training.

    Args:
        warmup: steps.
        start: of the warm-up, as a share of the optimiser's rate.
        floor: of the cosine.
    """

    warmup: int = 1000
    start: float = 0.1
    floor: float = 0.001

    def factor(self, step: int, steps: int) -> float:
        if step <= self.warmup:
            return self.start + (1 - self.start) * step / max(1, self.warmup)
        return self.floor + (1 - self.floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, step / steps)))


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

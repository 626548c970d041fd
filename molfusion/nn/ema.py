"""The moving average of a module's weights, which is what gets sampled from."""

from __future__ import annotations

from copy import deepcopy
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

M = TypeVar("M", bound=nn.Module)


class Average(nn.Module, Generic[M]):
    """A copy of a module that follows it; it lives in checkpoints and moves and shards as any other module does.

    For the first `copied` updates it is the module itself; then it keeps min(beta, 1 - (1 + k)^-power) of what it was,
    k counting on from there: a short training is averaged over less.

    Args:
        module: followed; copied here.
        beta: the most it keeps.
        power: how fast that is reached.
        copied: updates before the average begins.
    """

    updates: Tensor  # [1] how often update() was called

    def __init__(self, module: M, beta: float = 0.9999, power: float = 0.75, copied: int = 101) -> None:
        super().__init__()
        self.module: M = deepcopy(module).requires_grad_(False).eval()
        self.beta, self.power, self.copied = beta, power, copied
        self.register_buffer("updates", torch.zeros(1))

    @torch.no_grad()
    def update(self, module: M) -> None:
        """Follow, after an optimiser step; nothing waits for the device."""
        self.updates += 1
        moved = 1 - self.kept()
        for mine, theirs in zip(self.module.parameters(), module.parameters(), strict=True):
            _local(mine).lerp_(_local(theirs), moved)

    def kept(self) -> Tensor:
        """[1] how much of itself the last update kept."""
        k = (self.updates - self.copied).clamp(min=0)
        return (1 - (1 + k) ** -self.power).clamp(max=self.beta)


def _local(x: Tensor) -> Tensor:
    """This rank's share."""
    return x.to_local() if isinstance(x, DTensor) else x

"""What the processes of a training tell each other."""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor


def several_ranks() -> bool:
    """Whether this process is one of several that train together."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def first_rank() -> bool:
    """Whether this process is the one that writes and speaks."""
    return not several_ranks() or dist.get_rank() == 0


def mean_over_ranks(x: Tensor) -> Tensor:
    """The mean of every rank's `x`, without gradient; `x` itself on one process.

    A loss that divides by a count divides by its mean: ranks that hold more then weigh more, as they would in one batch.
    """
    if not several_ranks():
        return x
    total = x.detach().clone()
    dist.all_reduce(total)
    return total / dist.get_world_size()


def gather_rows(x: Tensor) -> Tensor:
    """The rows of all ranks, in rank order: [B, …] -> [world · B, …], B the same on each; what they learn goes back."""
    return cast(Tensor, _GatherRows.apply(x)) if several_ranks() else x  # type: ignore[no-untyped-call]


class _GatherRows(torch.autograd.Function):
    """torch's own `all_gather` with a gradient is deprecated, and wrong over gloo where that gradient is not contiguous."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.rows = len(x)
        parts = [torch.empty_like(x, memory_format=torch.contiguous_format) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, x.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total[dist.get_rank() * ctx.rows :][: ctx.rows]

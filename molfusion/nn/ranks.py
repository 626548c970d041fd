"""Sums over all processes of a training."""

from __future__ import annotations

import torch.distributed as dist
from torch import Tensor


def several_ranks() -> bool:
    """Whether this process is one of several that train together."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def mean_over_ranks(x: Tensor) -> Tensor:
    """The mean of every rank's `x`, without gradient; `x` itself on one process.

    A loss that divides by a count divides by its mean: ranks that hold more then weigh more, as they would in one batch.
    """
    if not several_ranks():
        return x
    total = x.detach().clone()
    dist.all_reduce(total)
    return total / dist.get_world_size()

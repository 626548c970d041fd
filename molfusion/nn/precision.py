"""Float32 islands: what must not run in bfloat16 even when the rest does."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch
from torch import Tensor


def float32_island(x: Tensor) -> AbstractContextManager[object]:
    """No autocast on the device of `x`. Distances in bf16 are off by 0.06 Å, Gaussian bases by 15 %."""
    return torch.autocast(x.device.type, enabled=False)


def compute_dtype(x: Tensor) -> torch.dtype:
    """What matrix products with `x` are computed in: to cast something once that many of them read."""
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype

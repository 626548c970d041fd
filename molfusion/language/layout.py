"""Prompt, molecule and answer side by side, all padding on the left."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

IGNORED = -100  # label of what the loss does not count


class Segment(NamedTuple):
    """A stretch of every row, padded on its right."""

    x: Tensor  # [B, S, D] embeddings
    mask: Tensor  # [B, S] bool
    labels: Tensor  # [B, S] int64


class Joined(NamedTuple):
    """Rows without padding between their stretches."""

    x: Tensor  # [B, W, D]
    mask: Tensor  # [B, W] bool
    labels: Tensor  # [B, W] int64


def join(segments: Sequence[Segment], width: int) -> Joined:
    """The segments of each row one after the other, with all padding before them: generation goes on at the right end.

    Args:
        segments: in order.
        width: at least as many columns as the longest row takes; known beforehand, so that no device has to be asked.
    """
    x = torch.cat([s.x for s in segments], dim=1)
    mask = torch.cat([s.mask for s in segments], dim=1)
    labels = torch.cat([s.labels for s in segments], dim=1)
    order = torch.argsort(mask.int(), dim=1, stable=True)[:, -width:]
    x = x.gather(1, order.unsqueeze(-1).expand(-1, -1, x.shape[-1]))
    mask = mask.gather(1, order)
    return Joined(x * mask.unsqueeze(-1).to(x.dtype), mask, labels.gather(1, order).masked_fill(~mask, IGNORED))

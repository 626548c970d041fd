"""Vectors to mean 0 and scale 1, by what training sees first."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from molfusion.nn.ranks import mean_over_ranks


class Standard(nn.Module):
    """A mean of each axis and one scale for all: axes that hardly vary stay small.

    Args:
        dim: D.
        most: vectors to learn from, on each rank; then mean and scale stand still.
    """

    count: Tensor  # [1]
    total: Tensor  # [D]
    squares: Tensor  # [D]

    def __init__(self, dim: int, most: int = 10_000) -> None:
        super().__init__()
        self.most = most
        self.register_buffer("count", torch.zeros(1))
        self.register_buffer("total", torch.zeros(dim))
        self.register_buffer("squares", torch.zeros(dim))

    @torch.no_grad()
    def learn(self, x: Tensor) -> None:
        """From x [B, D]; nothing waits for the device."""
        seen = torch.cat([torch.full_like(self.count, len(x)), x.float().sum(0), x.float().square().sum(0)])
        seen = mean_over_ranks(seen) * (self.count < self.most)
        d = len(self.total)
        self.count += seen[:1]
        self.total += seen[1 : 1 + d]
        self.squares += seen[1 + d :]

    def forward(self, x: Tensor) -> Tensor:
        """[B, D] standardised; as it is while nothing has been learned."""
        mean, scale = self.statistics()
        return (x - mean) / scale

    def back(self, x: Tensor) -> Tensor:
        """The inverse."""
        mean, scale = self.statistics()
        return x * scale + mean

    def statistics(self) -> tuple[Tensor, Tensor]:
        """Mean [D] and scale [1]."""
        n = self.count.clamp(min=1)
        mean = self.total / n
        variance = (self.squares / n - mean.square()).clamp(min=0).mean(0, keepdim=True)
        return mean, torch.where(self.count > 0, variance.sqrt() + 1e-5, torch.ones_like(variance))

"""The network of latent diffusion: what a noised latent was, given how noisy it is and a text (3M-Diffusion §3.3)."""

from __future__ import annotations

import math
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from molfusion.nn.precision import float32_island


class Denoiser(nn.Module):
    """An MLP on latent and condition side by side; the time is added once, before the stack.

    Args:
        latent: D.
        context: C, width of the condition.
        dim: width of the stack.
        depth: its layers.
    """

    def __init__(self, latent: int = 24, context: int = 256, dim: int = 256, depth: int = 8) -> None:
        super().__init__()
        self.dim = dim
        self.time = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, 4 * dim))
        self.time_in = nn.Linear(4 * dim, dim)
        self.input = nn.Linear(latent + context, dim)
        self.layers = nn.ModuleList(nn.Linear(dim, dim) for _ in range(depth))
        self.norm = nn.LayerNorm(dim)
        self.output = nn.Linear(dim, latent)
        self.nothing = nn.Embedding(1, context)  # the condition of whoever is given none
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(self, x: Tensor, t: Tensor, context: Tensor) -> Tensor:
        """[B, D] from x [B, D], steps t [B] (or [1] for all alike) and condition [B, C]."""
        h = self.input(torch.cat([x, context], -1)) + self.time_in(F.gelu(self.time_vector(t)))
        for layer in self.layers:
            h = F.relu(layer(h))
        return cast(Tensor, self.output(self.norm(h)))

    def time_vector(self, t: Tensor) -> Tensor:
        """[B, 4 dim] of steps [B]."""
        return cast(Tensor, self.time(sinusoids(t, self.dim)))


def sinusoids(t: Tensor, dim: int) -> Tensor:
    """sin and cos of t at dim / 2 frequencies from 1 to 1/10,000: [B] -> [B, dim]."""
    with float32_island(t):
        frequency = torch.exp(torch.arange(dim // 2, device=t.device) * (-math.log(10_000) / (dim // 2 - 1)))
        angle = t.float()[:, None] * frequency
        return torch.cat([angle.sin(), angle.cos()], -1)

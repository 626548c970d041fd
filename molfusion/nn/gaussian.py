"""Distances as smooth features."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from molfusion.nn.precision import float32_island

_PI = 3.14159  # the literal of the published code; released weights were trained with it
_FAR = -60.0  # an exponent below counts as -∞: e^-60 is lost in any sum of float32, but e^-88 … e^-103 are denormal
# numbers, and a matrix product that meets a few of those takes a hundred times as long on a CPU.


def gaussian_density(x: Tensor, means: Tensor, stds: Tensor) -> Tensor:
    """Normal densities of x [...] under K kernels -> [..., K], in float32."""
    density: Tensor = _Density.apply(x, means, stds)  # type: ignore[no-untyped-call]
    return density


class _Density(torch.autograd.Function):
    """By hand, as [B, N, N, K] is large and each of autograd's steps would keep one: z and the density are enough."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, means: Tensor, stds: Tensor) -> Tensor:
        z = (x.unsqueeze(-1) - means).div_(stds)
        exponent = F.threshold((z * -0.5).mul_(z), _FAR, -torch.inf, inplace=True)
        density: Tensor = exponent.exp_().div_((2 * _PI) ** 0.5 * stds)
        ctx.save_for_backward(z, density, stds)
        return density

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, wanted: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        z, density, stds = ctx.saved_tensors
        weighted = wanted * density  # of log density, whose derivatives by x, mean and std are -z/std, z/std, (z² - 1)/std
        total = weighted.flatten(0, -2).sum(0)
        by_mean = weighted.mul_(z)
        to_x = -(by_mean @ stds.reciprocal())
        to_means = by_mean.flatten(0, -2).sum(0) / stds
        to_stds = (by_mean.mul_(z).flatten(0, -2).sum(0) - total) / stds
        return to_x, to_means, to_stds


class GaussianPairs(nn.Module):
    """K Gaussian kernels of an affine function of the distance, the affine part chosen by the pair's type.

    Uni-Mol's `GaussianLayer`: x = mul[e] d + bias[e], std = |std| + 1e-5. The published code means to draw means and
    stds from U(0, 3) with mul = 1, bias = 0, and then overwrites all four with N(0, 0.02); here the intention stands.
    Either start tells distances beyond 9 Å apart only after long training; with a `reach` the means begin evenly
    spaced over 0 … reach Å, their spacing as width.
    """

    def __init__(self, kernels: int, pair_types: int, reach: float | None = None) -> None:
        super().__init__()
        if reach is None:
            self.means = nn.Parameter(torch.empty(kernels).uniform_(0, 3))
            self.stds = nn.Parameter(torch.empty(kernels).uniform_(0, 3))
        else:
            self.means = nn.Parameter(torch.linspace(0, reach, kernels))
            self.stds = nn.Parameter(torch.full((kernels,), reach / kernels))
        self.mul = nn.Embedding(pair_types, 1, _weight=torch.ones(pair_types, 1))
        self.bias = nn.Embedding(pair_types, 1, _weight=torch.zeros(pair_types, 1))

    def forward(self, distances: Tensor, pair_types: Tensor) -> Tensor:
        """Distances [B, N, N] Å and pair types [B, N, N] -> densities [B, N, N, K]."""
        with float32_island(distances):
            mul = F.embedding(pair_types, self.mul.weight.float()).squeeze(-1)
            bias = F.embedding(pair_types, self.bias.weight.float()).squeeze(-1)
            return gaussian_density(
                mul * distances.float() + bias, self.means.float(), self.stds.float().abs() + 1e-5
            )

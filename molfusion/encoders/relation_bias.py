"""MoleBLEND's three relations between atoms as attention biases: shortest path, bonds along it, distance in space.

Each bias is [B, N, N, H], from atom i (second axis) to atom j; the specification's rows of tables are `views.relations`'.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from molfusion.chem.graph import ATOM_SIZES, BOND_SIZES
from molfusion.chem.relations import CODES, HOPS
from molfusion.nn.gaussian import gaussian_density
from molfusion.nn.precision import float32_island

STRIDE = 512  # rows that the tables give each feature
ATOM_ROWS = STRIDE * len(ATOM_SIZES) + 1
_BOND_ROWS = STRIDE * len(BOND_SIZES) + 1
_ELEMENT_ROWS = 3 * STRIDE


class PathBias(nn.Module):
    """Mean over the shortest path of the bonds' vectors, each through its hop's own matrix; at most `HOPS` bonds.

    A hop has 60 possible bonds, so the products are a table of 5 × 61 rows, made anew in each step.
    """

    codes: Tensor  # [CODES, 3] rows of `bond` for each code; 0 where there is no bond

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.bond = nn.Embedding(_BOND_ROWS, heads, padding_idx=0)
        self.hop = nn.Parameter(torch.randn(HOPS, heads, heads) * 0.02)
        features = torch.cartesian_prod(*(torch.arange(n) for n in BOND_SIZES))
        rows = features + 3 + STRIDE * torch.arange(len(BOND_SIZES))
        self.register_buffer("codes", F.pad(rows, (0, 0, 1, 0)), persistent=False)

    def forward(self, hops: Tensor, distances: Tensor) -> Tensor:
        """hops [B, N, N, HOPS] codes, distances [B, N, N] bonds + 1 (0 = padding) -> [B, N, N, H]."""
        bonds = F.embedding(self.codes, self.bond.weight, padding_idx=0).mean(1)  # [CODES, H]; no gradient to row 0
        table = torch.einsum("ck,fkh->fch", bonds, self.hop).flatten(0, 1)
        rows = hops.long() + CODES * torch.arange(HOPS, device=hops.device)
        total = F.embedding_bag(rows.view(-1, HOPS), table, mode="sum")
        length = (distances - 1).clamp(1, HOPS)
        out: Tensor = total.view(*distances.shape, -1) / length.unsqueeze(-1)
        return out


class Space(NamedTuple):
    """What coordinates say."""

    bias: Tensor  # [B, N, N, H]
    centrality: Tensor  # [B, N, D] for the atoms themselves
    delta: Tensor  # [B, N, N, 3] unit vectors from i to j, 0 on the diagonal


class SpaceBias(nn.Module):
    """Distances under Gaussian kernels, shifted and stretched by both elements, through a small network.

    Args:
        dim: D of the atoms' centrality.
        heads: H.
        kernels: K.
        reach: Å over which the kernels start out evenly; None: U(0, 3), as the published code means to.
    """

    def __init__(self, dim: int, heads: int, kernels: int, reach: float | None = None) -> None:
        super().__init__()
        self.mul = nn.Embedding(_ELEMENT_ROWS, 1, padding_idx=0)
        self.bias = nn.Embedding(_ELEMENT_ROWS, 1, padding_idx=0)
        self.hidden, self.out = nn.Linear(kernels, kernels), nn.Linear(kernels, heads)
        self.centrality = nn.Linear(kernels, dim)
        if reach is None:
            means, stds = torch.empty(kernels).uniform_(0, 3), torch.empty(kernels).uniform_(0, 3)
        else:
            means, stds = torch.linspace(0, reach, kernels), torch.full((kernels,), reach / kernels)
        self.means, self.stds = nn.Parameter(means), nn.Parameter(stds)
        self._stretch = 1.0 if reach is None else 0.5  # of each element of a pair; the published start doubles distances

    def start(self) -> None:
        """Elements do not matter yet."""
        nn.init.constant_(self.mul.weight, self._stretch)
        nn.init.zeros_(self.bias.weight)
        with torch.no_grad():
            self.mul.weight[0].zero_()

    def forward(self, positions: Tensor, elements: Tensor, known: Tensor) -> Space:
        """positions [B, N, 3] Å, elements [B, N] atomic numbers (119 = other), known [B, N] where there is a position."""
        with float32_island(positions):
            delta = positions.float().unsqueeze(1) - positions.float().unsqueeze(2)
            distances = delta.norm(dim=-1)
            density = self.densities(distances, elements)
            delta = delta / (distances.unsqueeze(-1) + 1e-5)
        both = (known[:, :, None] & known[:, None, :]).unsqueeze(-1)
        bias = self.out(F.gelu(self.hidden(density))) * both
        central = self.centrality((density * known[:, None, :, None]).sum(2)) * 0.01
        return Space(bias, central * known.unsqueeze(-1), delta * both)

    def densities(self, distances: Tensor, elements: Tensor) -> Tensor:
        """[B, N, N] Å -> [B, N, N, K]: the tables are asked once an atom, as first and as second of its pairs."""
        first, second = elements.long() + 2, elements.long() + 2 + STRIDE
        mul, bias = (self._of_pairs(table.weight.float(), first, second) for table in (self.mul, self.bias))
        return gaussian_density(mul * distances + bias, self.means.float(), self.stds.float().abs() + 0.01)

    @staticmethod
    def _of_pairs(table: Tensor, first: Tensor, second: Tensor) -> Tensor:
        flat = table.squeeze(-1)
        return flat[first].unsqueeze(2) + flat[second].unsqueeze(1)

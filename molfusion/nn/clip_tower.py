"""CLIP's image Transformer (Radford et al. 2021) over a feature map instead of patches, as DeepSeek-OCR has it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from molfusion.nn.init import initialise

_PATCH = 14  # of CLIP-L's own patches


def quick_gelu(x: Tensor) -> Tensor:
    """x · σ(1.702 x), which CLIP was trained with."""
    return x * torch.sigmoid(1.702 * x)


class CLIPTower(nn.Module):
    """Pre-LN blocks over [CLS] and a map of features; no norm at the end.

    Args:
        dim: width, of the features as well.
        layers: blocks.
        heads: attention heads.
        ffn: feed-forward width.
        side: of the grid that the position table is for; other grids stretch it.
    """

    def __init__(self, dim: int, layers: int, heads: int, ffn: int, side: int) -> None:
        super().__init__()
        self.side = side
        self.cls = nn.Parameter(torch.randn(dim) * dim**-0.5)
        self.positions = nn.Parameter(torch.randn(side * side + 1, dim) * 0.02)
        # In the published weights; with a feature map for input it has nothing to do.
        self.patch = nn.Parameter(torch.zeros(dim, 3, _PATCH, _PATCH), requires_grad=False)
        self.norm = nn.LayerNorm(dim)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(dim, heads, ffn, 0.0, quick_gelu, batch_first=True, norm_first=True)
            for _ in range(layers)
        )
        initialise(self.layers, dim)

    def forward(self, features: Tensor) -> Tensor:
        """features [B, D, G, G] -> [B, 1 + G², D], [CLS] first."""
        x: Tensor = self.norm(self.embed(features))
        for layer in self.layers:
            x = layer(x)
        return x

    def embed(self, features: Tensor) -> Tensor:
        """[CLS] and the map, row by row, with their positions."""
        cls = self.cls.expand(len(features), 1, -1)
        return torch.cat([cls, features.flatten(2).transpose(1, 2)], dim=1) + self._placed(features.shape[-1])

    def _placed(self, side: int) -> Tensor:
        """[1 + side², D]; [CLS] keeps its own."""
        if side == self.side:
            return self.positions
        table = self.positions[1:].float().T.reshape(1, -1, self.side, self.side)
        table = F.interpolate(table, (side, side), mode="bicubic", antialias=True)
        return torch.cat([self.positions[:1], table.flatten(2)[0].T.to(self.positions.dtype)])

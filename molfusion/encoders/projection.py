"""Tokens of any encoder to one vector in a shared space: half of a dual tower, that can be kept."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from molfusion.batch import MoleculeBatch, Tokens
from molfusion.encoders.base import Encoder
from molfusion.nn.pooling import masked_mean


class Projection(Encoder):
    """Pooled and projected: one token [B, 1, P], not of unit norm.

    `Retrieval` with `width: null` compares two of them; what it exports then holds the projection too.

    Args:
        encoder: of the molecule or of the text.
        width: P.
        norm: layer norm of the tokens first (3M-Diffusion's graph tower).
        pool: `mean` over the tokens, or the `first` ([CLS] of a text).
    """

    def __init__(self, encoder: Encoder, width: int = 256, norm: bool = False, pool: Literal["mean", "first"] = "mean") -> None:
        super().__init__()
        self.encoder, self.pool = encoder, pool
        self.dim, self.views = width, encoder.views
        self.norm = nn.LayerNorm(encoder.dim) if norm else None
        self.head = nn.Linear(encoder.dim, width)

    def forward(self, batch: MoleculeBatch) -> Tokens:
        tokens = self.encoder(batch)
        x = tokens.x if self.norm is None else self.norm(tokens.x)
        return self._one(x, tokens.mask)

    def unnormed(self, batch: MoleculeBatch) -> Tokens:
        """As `forward`, without the layer norm."""
        return self._one(*self.encoder(batch))

    def _one(self, x: Tensor, mask: Tensor) -> Tokens:
        pooled = masked_mean(x, mask) if self.pool == "mean" else x[:, 0]
        return Tokens(self.head(pooled).unsqueeze(1), torch.ones_like(mask[:, :1]))

"""An encoder that does not look: what a text model knows without the molecule."""

from __future__ import annotations

import torch
from torch import nn

from molfusion.batch import MoleculeBatch, Tokens
from molfusion.encoders.base import Encoder
from molfusion.nn.init import bert_std


class Nothing(Encoder):
    """Learned tokens, the same for every molecule: the control that shows whether another encoder's molecule is used.

    Args:
        dim: D.
        tokens: how many.
    """

    def __init__(self, dim: int = 64, tokens: int = 1) -> None:
        super().__init__()
        self.dim, self.views = dim, frozenset()
        self.token = nn.Parameter(torch.randn(1, tokens, dim) * bert_std(dim))

    def forward(self, batch: MoleculeBatch) -> Tokens:
        x = self.token.expand(len(batch), -1, -1)
        return Tokens(x, torch.ones(x.shape[:2], dtype=torch.bool, device=x.device))

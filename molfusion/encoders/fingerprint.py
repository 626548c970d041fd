"""The baseline that every fusion has to beat: substructure counts and a small perceptron."""

from __future__ import annotations

import torch
from torch import nn

from molfusion.batch import MoleculeBatch, Tokens
from molfusion.encoders.base import Encoder
from molfusion.views.fingerprint import Fingerprints, FingerprintView


class Fingerprint(Encoder):
    """One token: MLP of log(1 + counts) of ECFP and atom-pair substructures."""

    def __init__(
        self, dim: int = 256, hidden: int = 1024, bits: int = 2048, radius: int = 2, dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.dim = dim
        self.view = FingerprintView(bits=bits, radius=radius)
        self.views = frozenset({self.view})
        self.layers = nn.Sequential(
            nn.Linear(self.view.width, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, dim)
        )

    def forward(self, batch: MoleculeBatch) -> Tokens:
        prints: Fingerprints = batch[self.view]
        x = self.layers(torch.log1p(prints.counts))
        return Tokens(x.unsqueeze(1), torch.ones(len(x), 1, dtype=torch.bool, device=x.device))

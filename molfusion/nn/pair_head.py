"""Answers about ordered pairs of tokens, read off the outer product of two small vectors that is never written down."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PairHead(nn.Module):
    """logits[i, o, j] = Σ_ab W[o, a, b] row[i, a] column[j, b] + bias[o]; row and column are LN(gelu(Linear(x))).

    The published heads build all [B, N, N, width²] products first. Contracting one side at a time is the same sum.

    Args:
        dim: D of the tokens.
        outputs: O.
        width: of row and column; 32 as published.
        hidden: of a second linear layer on top of the first, without anything between them; None: no such layer.
    """

    def __init__(self, dim: int, outputs: int, width: int = 32, hidden: int | None = None) -> None:
        super().__init__()
        self.width = width
        self.row, self.column = nn.Linear(dim, width), nn.Linear(dim, width)
        self.row_norm, self.column_norm = nn.LayerNorm(width, eps=1e-12), nn.LayerNorm(width, eps=1e-12)
        self.linear = nn.Linear(width * width, hidden or outputs)
        self.out = nn.Linear(hidden, outputs) if hidden else None

    def forward(self, x: Tensor) -> Tensor:
        """x [B, N, D] -> [B, N, O, N], from the second axis to the last."""
        row = self.row_norm(F.gelu(self.row(x)))
        column = self.column_norm(F.gelu(self.column(x)))
        weight: Tensor = self.linear.weight
        bias: Tensor = self.linear.bias
        if self.out is not None:  # two linear maps are one: 1024 -> 256 -> 3 costs as much as 1024 -> 3
            weight, bias = self.out.weight @ weight, torch.addmv(self.out.bias, self.out.weight, bias)
        b, n, w = row.shape
        outputs = len(bias)
        folded = weight.view(outputs, w, w).permute(1, 0, 2).reshape(w, outputs * w)
        half = (row @ folded).view(b, n * outputs, w)
        logits = (half @ column.transpose(1, 2)).view(b, n, outputs, n)
        out: Tensor = logits + bias[:, None]
        return out

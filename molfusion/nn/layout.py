"""Pictures as a row of tokens: a learned vector ends each of their rows, another ends them all (DeepSeek-OCR)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Layout(nn.Module):
    """Pictures of R × C tokens, one after the other, as R · (C + 1) each, and one more at the end."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.newline = nn.Parameter(torch.randn(dim) * dim**-0.5)
        self.separator = nn.Parameter(torch.randn(dim) * dim**-0.5)

    def forward(self, x: Tensor, grids: Sequence[tuple[int, int]]) -> Tensor:
        """x [B, Σ R · C, D] -> [B, Σ R · (C + 1) + 1, D].

        Raises:
            ValueError: the grids have another number of tokens.
        """
        sizes = [rows * columns for rows, columns in grids]
        if sum(sizes) != x.shape[1]:
            raise ValueError(f"{x.shape[1]} tokens, but grids of {' + '.join(f'{r} × {c}' for r, c in grids)}")
        laid = []
        for part, (rows, columns) in zip(torch.split(x, sizes, dim=1), grids, strict=True):
            ends = self.newline.to(x.dtype).expand(len(x), rows, 1, -1)
            laid.append(torch.cat([part.reshape(len(x), rows, columns, -1), ends], dim=2).flatten(1, 2))
        return torch.cat([*laid, self.separator.to(x.dtype).expand(len(x), 1, -1)], dim=1)

"""Message states of a growing batch: rows that are written, read and written again."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from molfusion.nn.message_lstm import MessageLSTM, cell


class States:
    """Rows of one message LSTM, float32 and without gradients; row 0 stays empty."""

    def __init__(self, lstm: MessageLSTM, rows: int, device: torch.device) -> None:
        self.weights = lstm.weights()
        self.h, self.c, self.through = torch.zeros(3, rows + 1, lstm.dim, device=device).unbind()

    def reserve(self, rows: int) -> None:
        """Room for so many rows."""
        if rows >= len(self.h):
            grown = torch.zeros(3, 2 * rows, self.h.shape[1], device=self.h.device)
            for new, old in zip(grown, (self.h, self.c, self.through), strict=True):
                new[: len(old)] = old
            self.h, self.c, self.through = grown.unbind()

    def update(self, rows: Tensor, projected: Tensor, near: Tensor) -> None:
        """Compute rows [n] once from their neighbours' present states [n, K]."""
        h, c = cell(projected, self.h[near], self.through[near], self.c[near], self.weights)
        self.h[rows], self.c[rows], self.through[rows] = h, c, h @ self.weights.forget.T

    def clear(self, rows: Tensor) -> None:
        for state in (self.h, self.c, self.through):
            state[rows] = 0


def ragged(lists: Sequence[Sequence[int]], device: torch.device) -> Tensor:
    """[n, K] int64, 0 where a list is shorter."""
    width = max([1, *(len(x) for x in lists)])
    return torch.tensor([[*x, *[0] * (width - len(x))] for x in lists], dtype=torch.int64, device=device).view(-1, width)

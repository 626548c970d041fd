"""A GRU over a graph without cycles, as `MessageLSTM`: the alternative of Jin et al. (2020)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from molfusion.nn.message_lstm import Levels
from molfusion.nn.precision import float32_island


class MessageGRU(nn.Module):
    """h = (1 - z) ⊙ Σ_k h_k + z ⊙ tanh(W [x; Σ_k r_k ⊙ h_k]); z sees the sum, each r_k its own neighbour. Plain autograd."""

    def __init__(self, dim_in: int, dim: int) -> None:
        super().__init__()
        self.dim_in, self.dim = dim_in, dim
        self.update = nn.Linear(dim_in + dim, dim)
        self.reset_own = nn.Linear(dim_in, dim, bias=False)
        self.reset_near = nn.Linear(dim, dim)
        self.candidate = nn.Linear(dim_in + dim, dim)

    def project(self, x: Tensor) -> Tensor:
        """The rows' own features, float32, as `forward` wants them."""
        return x.float()

    def forward(self, projected: Tensor, levels: Levels, code: Tensor | None = None) -> Tensor:
        """Hidden states [R + 1, H] float32, the empty row first; arguments as of `MessageLSTM`."""
        with float32_island(projected):
            x = projected if code is None else projected[code]
            h = x.new_zeros(1, self.dim)
            start = 0
            for n, width in zip(levels.sizes, levels.widths, strict=True):
                own = x[start : start + n]
                near = h[levels.neighbours[start : start + n, : max(width, 1)]]
                total = near.sum(1)
                z = torch.sigmoid(self.update(torch.cat([own, total], 1)))
                r = torch.sigmoid(self.reset_own(own)[:, None] + self.reset_near(near))
                new = torch.tanh(self.candidate(torch.cat([own, (r * near).sum(1)], 1)))
                h = torch.cat([h, (1 - z) * total + z * new])
                start += n
            return h

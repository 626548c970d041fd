"""From tokens and the directions between them to a vector a token: one attention layer whose values are directions."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from molfusion.nn.precision import float32_island


class VectorHead(nn.Module):
    """out_i = Σ_j Σ_h a_ijh (v_jh · w_h) delta_ij: turns with the molecule, since weights are invariant and delta turns.

    Args:
        dim: D of the tokens.
        heads: H.
        dropout: on the attention.
        axes: the published form: w and a constant for x, y and z each, which is not equivariant.
    """

    def __init__(self, dim: int, heads: int, dropout: float = 0.1, axes: bool = False) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, 3 if axes else 1, bias=axes)

    def forward(self, x: Tensor, bias: Tensor, delta: Tensor) -> Tensor:
        """x [B, N, D], bias [B, H, N, N] with -inf in the columns of padding, delta [B, N, N, 3] -> float32 [B, N, 3]."""
        b, n, d = x.shape
        q, k, v = self.qkv(x).view(b, n, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        logits = torch.matmul(q * (d // self.heads) ** -0.5, k.transpose(-1, -2))
        with float32_island(logits):
            weights = torch.softmax(logits.float() + bias.float(), dim=-1)
        weights = F.dropout(weights, self.dropout, self.training)
        # w folded into the values: [N, N, 3] sums instead of [N, N, D].
        told = torch.einsum("bhjd,ahd->bjha", v, self.out.weight.view(-1, self.heads, d // self.heads))
        with float32_island(told):
            strength = weights.permute(0, 3, 2, 1) @ told.float()  # [B, j, i, axes]
            out = (strength.transpose(1, 2) * delta.float()).sum(2)
            return out if self.out.bias is None else out + self.out.bias.float()

"""Uni-Mol's Transformer: the attention logits of each layer become the bias of the next."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from molfusion.nn.precision import float32_island


class PairBlock(nn.Module):
    """One pre-LN layer. h = LN(x); A = q kᵀ / √d + b; x += softmax(A) v; x += FFN(LN(x)); the next b is A."""

    def __init__(self, dim: int, ffn: int, heads: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.attention_norm = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)
        self.ffn_norm = nn.LayerNorm(dim)
        self.up = nn.Linear(dim, ffn)
        self.down = nn.Linear(ffn, dim)

    def forward(self, x: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """x [B, N, D], bias [B, H, N, N] with -inf in the columns of padding -> the same two, updated."""
        b, n, d = x.shape
        q, k, v = self.qkv(self.attention_norm(x)).view(b, n, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        logits = torch.matmul(q * (d // self.heads) ** -0.5, k.transpose(-1, -2)).float() + bias
        with float32_island(logits):
            weights = torch.softmax(logits, dim=-1)
        weights = F.dropout(weights.to(v.dtype), self.dropout, self.training)
        attended = torch.matmul(weights, v).transpose(1, 2).reshape(b, n, d)
        x = x + F.dropout(self.out(attended), self.dropout, self.training)
        x = x + F.dropout(self.down(F.gelu(self.up(self.ffn_norm(x)))), self.dropout, self.training)
        return x, logits

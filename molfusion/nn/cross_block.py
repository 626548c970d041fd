"""A post-LN layer in which tokens read others, and not each other."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class CrossBlock(nn.Module):
    """x1 = LN(x + attention(x, context)); LN(x1 + down(GELU(up(x1)))).

    Args:
        dim: D.
        context: width E of what is read.
        heads: attention heads.
        ffn: feed-forward width.
        dropout: on the attention, and inside the feed-forward part.
    """

    def __init__(self, dim: int, context: int, heads: int, ffn: int, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        self.attention = nn.MultiheadAttention(dim, heads, dropout, kdim=context, vdim=context, batch_first=True)
        self.attention_norm = nn.LayerNorm(dim, eps=1e-6)
        self.up = nn.Linear(dim, ffn)
        self.down = nn.Linear(ffn, dim)
        self.ffn_norm = nn.LayerNorm(dim, eps=1e-6)
        for part in (self.up, self.down):
            nn.init.kaiming_normal_(part.weight, nonlinearity="relu")
            nn.init.zeros_(part.bias)

    def forward(self, x: Tensor, context: Tensor, unseen: Tensor) -> Tensor:
        """x [B, T, D], context [B, S, E], unseen [B, S] (True = may not be read) -> [B, T, D]."""
        read, _ = self.attention(x, context, context, key_padding_mask=unseen, need_weights=False)
        x = self.attention_norm(x + read)
        hidden = F.dropout(F.gelu(self.up(x)), self.dropout, self.training)
        out: Tensor = self.ffn_norm(x + self.down(hidden))
        return out

    def weights(self, x: Tensor, context: Tensor, unseen: Tensor) -> Tensor:
        """How much each token reads of each: [B, T, S], mean over heads, rows sum to 1."""
        _, found = self.attention(x, context, context, key_padding_mask=unseen, need_weights=True)
        weights: Tensor = found
        return weights

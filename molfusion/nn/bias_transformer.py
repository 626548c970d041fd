"""A Transformer whose attention reads one bias of pairs, the same in every layer (Graphormer, Transformer-M, MoleBLEND)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class BiasBlock(nn.Module):
    """One post-LN layer: x = LN(x + attention(x)), x = LN(x + FFN(x)). Sandwich: x += LN(attention(LN(x))), likewise FFN.

    Where `drop_path` is set it takes the place of the residual dropout, as in the published code; there the same
    token positions are dropped in all molecules of a batch, here whole molecules are, each by itself.
    """

    def __init__(
        self,
        dim: int,
        ffn: int,
        heads: int,
        dropout: float = 0.0,
        attention_dropout: float = 0.1,
        activation_dropout: float = 0.1,
        drop_path: float = 0.0,
        sandwich: bool = False,
    ) -> None:
        super().__init__()
        self.heads, self.sandwich = heads, sandwich
        self.dropout, self.attention_dropout, self.activation_dropout = dropout, attention_dropout, activation_dropout
        self.drop_path = drop_path
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)
        self.attention_norm = nn.LayerNorm(dim)
        self.up = nn.Linear(dim, ffn)
        self.down = nn.Linear(ffn, dim)
        self.ffn_norm = nn.LayerNorm(dim)
        if sandwich:
            self.attention_sandwich = nn.LayerNorm(dim)
            self.ffn_sandwich = nn.LayerNorm(dim)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """x [B, T, D], bias [B, H, T, T] with -inf in the columns of padding -> x."""
        if self.sandwich:
            x = x + self.attention_sandwich(self._dropped(self._attention(self.attention_norm(x), bias)))
            x = x + self.ffn_sandwich(self._dropped(self._ffn(self.ffn_norm(x))))
        else:
            x = self.attention_norm(x + self._dropped(self._attention(x, bias)))
            x = self.ffn_norm(x + self._dropped(self._ffn(x)))
        return x

    def _attention(self, x: Tensor, bias: Tensor) -> Tensor:
        b, t, d = x.shape
        q, k, v = self.qkv(x).view(b, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        dropped = self.attention_dropout if self.training else 0.0
        read = F.scaled_dot_product_attention(q, k, v, bias.to(q.dtype), dropped)
        out: Tensor = self.out(read.transpose(1, 2).reshape(b, t, d))
        return out

    def _ffn(self, x: Tensor) -> Tensor:
        out: Tensor = self.down(F.dropout(F.gelu(self.up(x)), self.activation_dropout, self.training))
        return out

    def _dropped(self, x: Tensor) -> Tensor:
        if not self.drop_path:
            return F.dropout(x, self.dropout, self.training)
        if not self.training:
            return x
        kept = torch.rand(len(x), 1, 1, device=x.device) >= self.drop_path
        return x * kept / (1 - self.drop_path)

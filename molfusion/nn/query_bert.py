"""BERT with learned queries (the Q-Former of BLIP-2, Li et al. 2023): one post-LN stack that reads queries, text or both.

Rows of queries cross-attend to an encoder's states (in every `cross_every`-th layer) and have a feed-forward part of
their own; rows of text have BERT's. No segment embeddings, and queries have no position.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from molfusion.nn.init import initialise

_EPS = 1e-12  # BERT's layer norm


class KeyValue(NamedTuple):
    """Keys and values of one layer's self-attention, [B, H, Q, D/H] each."""

    key: Tensor
    value: Tensor


class Attention(nn.Module):
    """Multi-head attention and its residual: LN(out(attention) + x)."""

    def __init__(self, dim: int, source: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.query = nn.Linear(dim, dim)
        self.key = nn.Linear(source, dim)
        self.value = nn.Linear(source, dim)
        self.out = nn.Linear(dim, dim)
        self.norm = nn.LayerNorm(dim, eps=_EPS)

    def forward(
        self, x: Tensor, source: Tensor, bias: Tensor | None, past: KeyValue | None = None
    ) -> tuple[Tensor, KeyValue]:
        """x [B, T, D], source [B, S, E], additive bias broadcastable to [B, H, T, S (+ past)]."""
        own = KeyValue(self._heads(self.key(source)), self._heads(self.value(source)))
        k, v = own if past is None else (torch.cat([p, o], dim=2) for p, o in zip(past, own, strict=True))
        q = self._heads(self.query(x))
        rate = self.dropout if self.training else 0.0
        attended = F.scaled_dot_product_attention(q, k, v, None if bias is None else bias.to(q.dtype), rate)
        merged = attended.transpose(1, 2).reshape(x.shape)
        return self.norm(F.dropout(self.out(merged), self.dropout, self.training) + x), own

    def weights(self, x: Tensor, source: Tensor, bias: Tensor | None) -> Tensor:
        """How much each row reads of the source: [B, T, S], mean over heads, rows sum to 1."""
        q, k = self._heads(self.query(x)), self._heads(self.key(source))
        logits = (q @ k.transpose(2, 3)).float() / q.shape[-1] ** 0.5
        return torch.softmax(logits if bias is None else logits + bias, dim=-1).mean(1)

    def _heads(self, x: Tensor) -> Tensor:
        b, t, d = x.shape
        return x.view(b, t, self.heads, d // self.heads).transpose(1, 2)


class FeedForward(nn.Module):
    """LN(down(GELU(up(x))) + x)."""

    def __init__(self, dim: int, ffn: int, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        self.up = nn.Linear(dim, ffn)
        self.down = nn.Linear(ffn, dim)
        self.norm = nn.LayerNorm(dim, eps=_EPS)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.down(F.gelu(self.up(x)))
        out: Tensor = self.norm(F.dropout(hidden, self.dropout, self.training) + x)
        return out


class QueryLayer(nn.Module):
    """Self-attention over all rows; then queries: cross-attention and their own FFN; text: BERT's FFN."""

    def __init__(self, dim: int, source: int | None, ffn: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.attention = Attention(dim, dim, heads, dropout)
        self.cross = None if source is None else Attention(dim, source, heads, dropout)
        self.text_ffn = FeedForward(dim, ffn, dropout)
        self.query_ffn = FeedForward(dim, ffn, dropout)

    def forward(
        self,
        x: Tensor,
        bias: Tensor | None,
        queries: int,
        states: Tensor | None = None,
        states_bias: Tensor | None = None,
        past: KeyValue | None = None,
        wanted: int | None = None,
    ) -> tuple[Tensor, KeyValue]:
        """The first `queries` rows of x [B, Q + L, D] are queries. With `wanted`, so many first rows are computed alone."""
        x, own = self.attention(x[:, :wanted], x, bias, past)
        if not queries:
            return self.text_ffn(x), own
        q, text = x[:, :queries], x[:, queries:]
        if self.cross is not None:
            q, _ = self.cross(q, states, states_bias)
        q = self.query_ffn(q)
        return (torch.cat([q, self.text_ffn(text)], dim=1) if text.shape[1] else q), own


class QueryBert(nn.Module):
    """The stack, its text embeddings and its language-model head (tied to the word embeddings).

    Args:
        vocab: rows of the word embedding.
        dim: D.
        source: width E of the states that queries cross-attend to.
        layers: number of layers.
        heads: attention heads.
        ffn: feed-forward width.
        cross_every: a layer cross-attends if its number is a multiple of this.
        positions: longest text.
        dropout: on embeddings, attention and residuals.
    """

    def __init__(
        self,
        vocab: int,
        dim: int,
        source: int,
        layers: int,
        heads: int,
        ffn: int,
        cross_every: int = 2,
        positions: int = 512,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.dropout = dropout
        self.words = nn.Embedding(vocab, dim, padding_idx=0)
        self.positions = nn.Embedding(positions, dim)
        self.norm = nn.LayerNorm(dim, eps=_EPS)
        self.layers = nn.ModuleList(
            QueryLayer(dim, source if i % cross_every == 0 else None, ffn, heads, dropout) for i in range(layers)
        )
        self.lm_dense = nn.Linear(dim, dim)
        self.lm_norm = nn.LayerNorm(dim, eps=_EPS)
        self.lm_bias = nn.Parameter(torch.zeros(vocab))
        initialise(self, dim)

    def read_states(
        self, queries: Tensor, states: Tensor, states_bias: Tensor | None
    ) -> tuple[Tensor, list[KeyValue]]:
        """Queries [B, Q, D] over states [B, N, E] -> [B, Q, D], and every layer's keys and values for `read_caption`."""
        x, cache = self._embed(queries), []
        for layer in self.layers:
            x, own = layer(x, None, queries.shape[1], states, states_bias)
            cache.append(own)
        return x, cache

    def read_text(self, ids: Tensor, mask: Tensor, wanted: int | None = None) -> Tensor:
        """Text alone, every word seeing every other: ids, mask [B, L] -> [B, L, D], or the `wanted` first words of it."""
        x = self._embed(None, ids)
        bias = visible(mask[:, None, :])
        for layer, rows in self._layers(wanted):
            x, _ = layer(x, bias, 0, wanted=rows)
        return x

    def read_both(
        self,
        queries: Tensor,
        ids: Tensor,
        mask: Tensor,
        states: Tensor,
        states_bias: Tensor | None,
        wanted: int | None = None,
    ) -> Tensor:
        """Queries and text together, all seeing all -> [B, Q + L, D], or the `wanted` first rows of it."""
        x = self._embed(queries, ids)
        bias = visible(F.pad(mask, (queries.shape[1], 0), value=True)[:, None, :])
        for layer, rows in self._layers(wanted):
            x, _ = layer(x, bias, queries.shape[1], states, states_bias, wanted=rows)
        return x

    def _layers(self, wanted: int | None) -> Iterator[tuple[nn.Module, int | None]]:
        """Each layer, and how many rows it is to compute: below the last, all are read by others."""
        yield from ((layer, None) for layer in self.layers[:-1])
        yield self.layers[-1], wanted

    def read_caption(self, ids: Tensor, mask: Tensor, cache: Sequence[KeyValue]) -> Tensor:
        """[B, L, D]: each word sees all queries (through `cache`) and the words up to itself."""
        x = self._embed(None, ids)
        length, queries = ids.shape[1], cache[0].key.shape[2]
        causal = torch.ones(length, length, dtype=torch.bool, device=ids.device).tril()
        bias = visible(F.pad(causal & mask[:, None, :], (queries, 0), value=True))
        for layer, past in zip(self.layers, cache, strict=True):
            x, _ = layer(x, bias, 0, past=past)
        return x

    def next_word(self, x: Tensor) -> Tensor:
        """Logits of the word after each state: [..., D] -> [..., V]."""
        return F.linear(self.lm_norm(F.gelu(self.lm_dense(x))), self.words.weight, self.lm_bias)

    def text_parameters(self) -> Iterator[nn.Parameter]:
        """What `read_states` does not use."""
        for name, parameter in self.named_parameters():
            if name.startswith(("words.", "positions.", "lm_")) or ".text_ffn." in name:
                yield parameter

    def _embed(self, queries: Tensor | None, ids: Tensor | None = None) -> Tensor:
        parts = [] if queries is None else [queries]
        if ids is not None:
            parts.append(self.words(ids) + self.positions.weight[: ids.shape[1]])
        return F.dropout(self.norm(torch.cat(parts, dim=1)), self.dropout, self.training)


def visible(mask: Tensor) -> Tensor:
    """A mask [B, T or 1, S] (True = may be seen) as an additive bias [B, 1, T or 1, S]."""
    return torch.zeros(mask.shape, device=mask.device).masked_fill(~mask.bool(), -10000.0).unsqueeze(1)

"""DeepMoLM's fusion: the tokens of one encoder read those of another."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from molfusion.batch import MoleculeBatch, Tokens
from molfusion.encoders.base import Encoder, Frozen, merge_views
from molfusion.nn.cross_block import CrossBlock
from molfusion.nn.layout import Layout
from molfusion.nn.pooling import masked_mean

Kind = Literal["attention", "concat", "linear"]


class CrossAttention(Encoder):
    """Tokens of `query`, brought to width D, that have read those of `context`. For any two encoders.

    Defaults are DeepMoLM's over its image encoder: one post-LN layer of 8 heads without self-attention. Its ablations:
    `concat` puts the mean of the context beside each token of the query and mixes them in a small network; `linear`
    leaves the context out.

    Args:
        query: whose tokens come out.
        context: what they read; not needed for `linear`, and not kept there.
        dim: D; a language model's width, if one reads the tokens.
        heads: attention heads; must divide D.
        layers: of attention.
        ffn: feed-forward width; by default 4 D.
        dropout: in the layers.
        kind: see above.
        layout: put learned newline and separator vectors among the tokens of pictures (a query with `grids`), after the
            fusion, as a language model reads them.
    """

    def __init__(
        self,
        query: Encoder,
        context: Encoder | None = None,
        dim: int = 3584,
        heads: int = 8,
        layers: int = 1,
        ffn: int | None = None,
        dropout: float = 0.0,
        kind: Kind = "attention",
        layout: bool = False,
    ) -> None:
        super().__init__()
        if kind != "linear" and context is None:
            raise ValueError(f"kind: {kind!r} reads a context: give CrossAttention one, or set kind to 'linear'")
        if kind == "attention" and dim % heads:
            raise ValueError(f"{heads} heads do not divide a width of {dim}")
        if layout and _grids(query) is None:
            raise ValueError(f"layout: {type(query).__name__} makes no pictures to lay out; set it to false")
        self.query, self.context = query, context if kind != "linear" else None
        self.dim, self.kind = dim, kind
        self.views = merge_views(self.query, self.context)
        self.layout = Layout(dim) if layout else None
        self.layers = nn.ModuleList()
        if kind == "concat":
            assert context is not None
            self.mixer = nn.Sequential(nn.Linear(query.dim + context.dim, dim), nn.GELU(), nn.Linear(dim, dim))
            return
        self.projection = nn.Linear(query.dim, dim)
        if kind == "attention":
            assert context is not None
            nn.init.xavier_uniform_(self.projection.weight)
            nn.init.zeros_(self.projection.bias)
            self.layers.extend(CrossBlock(dim, context.dim, heads, ffn or 4 * dim, dropout) for _ in range(layers))

    def forward(self, batch: MoleculeBatch) -> Tokens:
        query = self.query(batch)
        x = self.fuse(query, None if self.context is None else self.context(batch))
        if self.layout is None:
            return Tokens(x, query.mask)
        x = self.layout(x, _grids(self.query) or ())
        return Tokens(x, torch.ones(x.shape[:2], dtype=torch.bool, device=x.device))

    def fuse(self, query: Tokens, context: Tokens | None) -> Tensor:
        """[B, T, D] from the tokens of both sides."""
        if self.kind == "linear":
            return self._projected(query.x)
        assert context is not None
        if self.kind == "concat":
            beside = masked_mean(context.x, context.mask).unsqueeze(1).expand(-1, query.x.shape[1], -1)
            mixed: Tensor = self.mixer(torch.cat([query.x, beside.to(query.x.dtype)], dim=-1))
            return mixed
        x, unseen = self._projected(query.x), _unseen(context.mask)
        for layer in self.layers:
            x = layer(x, context.x, unseen)
        return x

    def _projected(self, x: Tensor) -> Tensor:
        projected: Tensor = self.projection(x)
        return projected

    @property
    def blocks(self) -> list[nn.Module]:
        context = [] if self.context is None else self.context.blocks
        return [*self.query.blocks, *context, *self.layers]


def _unseen(mask: Tensor) -> Tensor:
    """Where not to look; a row in which nothing is to be seen shows its first token, as a softmax over nothing is nan."""
    unseen = ~mask
    unseen[:, 0] &= mask.any(1)
    return unseen


def _grids(encoder: Encoder) -> tuple[tuple[int, int], ...] | None:
    while isinstance(encoder, Frozen):
        encoder = encoder.encoder
    grids: tuple[tuple[int, int], ...] | None = getattr(encoder, "grids", None)
    return grids

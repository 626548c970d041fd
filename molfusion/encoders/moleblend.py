"""MoleBLEND (Yu et al., ICLR 2024): one Transformer over atoms whose attention is told how each pair is related.

Its relations are the length of the shortest path, the bonds along it, and the distance in space. Fine-tuning sums them;
pretraining keeps one of them for each pair (`moleblend_pretraining.py`). The backbone is Transformer-M's.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from molfusion.batch import MoleculeBatch, Record, Tokens
from molfusion.encoders.base import Encoder, NotApplicable
from molfusion.encoders.relation_bias import ATOM_ROWS, STRIDE, PathBias, Space, SpaceBias
from molfusion.nn.bias_transformer import BiasBlock
from molfusion.nn.init import initialise
from molfusion.nn.precision import compute_dtype
from molfusion.views.conformer import Conformers, ConformerView
from molfusion.views.optional_conformer import OptionalConformerView
from molfusion.views.relations import Relations, RelationsView

Relation = Literal["spd", "path", "3d"]
RELATIONS: tuple[Relation, ...] = ("spd", "path", "3d")  # their order in a blend


class Inputs(NamedTuple):
    """A batch as the network reads it."""

    atoms: Tensor  # [B, N, 9] int64 rows of the atom table, 0 = padding
    elements: Tensor  # [B, N] int64 atomic numbers, 119 = other, 0 = padding
    degrees: Tensor  # [B, N] int64 rows of the degree tables, 0 = padding
    distances: Tensor  # [B, N, N] int64 bonds + 1, 511 = no path, 0 = padding
    hops: Tensor  # [B, N, N, HOPS] codes of the path's first bonds
    mask: Tensor  # [B, N] bool
    positions: Tensor  # [B, N, 3] float32 Å, 0 where not known
    known: Tensor  # [B, N] bool: where there is a position


class Blend(NamedTuple):
    """Which relation each pair is told, and which of degree and centrality each atom."""

    relation: Tensor  # [B or 1, N, N] int64 index into RELATIONS
    space: Tensor  # [B, N] bool, True = centrality


class States(NamedTuple):
    """What the network leaves behind."""

    x: Tensor  # [B, 1 + N, D]
    mask: Tensor  # [B, 1 + N] bool
    bias: Tensor  # [B, H, N, N] of the relations between atoms, -inf in the columns of padding
    delta: Tensor | None  # [B, N, N, 3] unit vectors from i to j; None without the relation `3d`


class MoleBlend(Encoder):
    """A graph token and a token per heavy atom, invariant to rotation, translation and reflection.

    Defaults are the published size. The published path table has 128 hops, of which 5 can be reached: 5 are kept.

    Args:
        dim: D.
        layers: Transformer layers.
        ffn: width of the feed-forward part.
        heads: attention heads.
        kernels: Gaussian kernels of a distance.
        relations: that attention is told; with `spd` or `path` also degrees, with `3d` also centralities.
        conformers: `optional`: a molecule without one is read by its graph alone.
        dropout: on embeddings and residuals.
        attention_dropout: on attention.
        activation_dropout: in the feed-forward part.
        drop_path: of the last layer; it falls linearly to 0 at the first.
        sandwich: layer norms before and after each part instead of after the residual.
        reach: Å over which the kernels start out evenly; None: as published.
        noise: Å by which training shifts coordinates along each axis; pretraining has noise of its own.
        compat: start the kernels, too, from N(0, 0.02), as the published code does in effect.
        max_atoms: a larger molecule has no such view.
    """

    summary_tokens = 1

    def __init__(
        self,
        dim: int = 768,
        layers: int = 12,
        ffn: int = 768,
        heads: int = 32,
        kernels: int = 128,
        relations: Sequence[Relation] = RELATIONS,
        conformers: Literal["required", "optional"] = "required",
        dropout: float = 0.0,
        attention_dropout: float = 0.1,
        activation_dropout: float = 0.1,
        drop_path: float = 0.1,
        sandwich: bool = False,
        reach: float | None = None,
        noise: float = 0.0,
        compat: bool = False,
        max_atoms: int = 256,
    ) -> None:
        super().__init__()
        if not relations or set(relations) - set(RELATIONS):
            raise ValueError(f"relations are {list(relations)}, expected at least one of {', '.join(RELATIONS)}")
        self.dim, self.heads, self.dropout, self.noise = dim, heads, dropout, noise
        self.graph_view = RelationsView(hydrogens=False, max_atoms=max_atoms)
        kind = OptionalConformerView if conformers == "optional" else ConformerView
        self.space_view = kind(hydrogens=False, max_atoms=max_atoms)
        self.atom = nn.Embedding(ATOM_ROWS, dim, padding_idx=0)
        self.in_degree = nn.Embedding(STRIDE, dim, padding_idx=0)
        self.out_degree = nn.Embedding(STRIDE, dim, padding_idx=0)
        self.graph_token = nn.Parameter(torch.randn(dim) * 0.02)
        self.graph_bias = nn.Parameter(torch.randn(heads) * 0.02)
        self.spd = nn.Embedding(STRIDE, heads, padding_idx=0)
        self.path = PathBias(heads)
        self.space = SpaceBias(dim, heads, kernels, reach)
        self.norm = nn.LayerNorm(dim)
        dropped = (dropout, attention_dropout, activation_dropout)
        shares = torch.linspace(0, drop_path, layers, device="cpu").tolist()
        self.layers = nn.ModuleList(BiasBlock(dim, ffn, heads, *dropped, share, sandwich) for share in shares)
        initialise(self, dim)
        if compat:
            for table in (self.space.means, self.space.stds):
                nn.init.normal_(table, std=0.02)
        else:
            self.space.start()
        self.relations: tuple[Relation, ...] = RELATIONS
        self.keep(relations)

    def keep(self, relations: Sequence[Relation]) -> None:
        """Give up the tables of all other relations, and what only they read.

        Raises:
            NotApplicable: it does not have one of them.
        """
        if absent := [r for r in relations if r not in self.relations]:
            raise NotApplicable(f"this MoleBlend was made with {', '.join(self.relations)}: it has no relation {absent[0]!r}")
        self.relations = tuple(r for r in RELATIONS if r in relations)
        tables = {"spd": "spd", "path": "path", "3d": "space"}
        gone = {table for relation, table in tables.items() if relation not in self.relations}
        if not self.reads_graph:
            gone |= {"in_degree", "out_degree"}
        for name in gone & dict(self.named_children()).keys():
            delattr(self, name)
        self.views = frozenset({self.graph_view, self.space_view} if self.reads_space else {self.graph_view})

    @property
    def reads_graph(self) -> bool:
        return "spd" in self.relations or "path" in self.relations

    @property
    def reads_space(self) -> bool:
        return "3d" in self.relations

    def forward(self, batch: MoleculeBatch) -> Tokens:
        inputs = self.inputs(batch)
        if self.noise and self.training:
            shift = torch.randn_like(inputs.positions) * self.noise
            inputs = inputs._replace(positions=inputs.positions + shift * inputs.known.unsqueeze(-1))
        states = self.encode(inputs)
        return Tokens(states.x, states.mask)

    def inputs(self, batch: MoleculeBatch) -> Inputs:
        """The two views as one, on the batch's own device."""
        graph: Relations = batch[self.graph_view]
        b, n = graph.mask.shape
        positions, known = graph.mask.new_zeros(b, n, 3, dtype=torch.float32), torch.zeros_like(graph.mask)
        if self.reads_space:
            space: Conformers = batch[self.space_view]
            # Fewer than n where the largest molecules have no conformer; more where it is lent by another molecule
            # (`test --reliance`): then the first atoms stand where that one's do.
            m = min(n, space.mask.shape[1])
            positions[:, :m], known[:, :m] = space.positions[:, :m], space.mask[:, :m] & graph.mask[:, :m]
        rows, degrees, elements = graph.atom_rows(), graph.degree_rows(), graph.atoms[..., 0].long()
        return Inputs(rows, elements, degrees, graph.distances.long(), graph.hops, graph.mask, positions, known)

    def encode(self, inputs: Inputs, blend: Blend | None = None, relations: Sequence[Relation] | None = None) -> States:
        """The network proper: relations summed, or one for each pair where a blend says which.

        Args:
            inputs: of the batch.
            blend: None: every pair is told all of them.
            relations: to read, of those it has; all by default.
        """
        told = self.relations if relations is None else tuple(relations)
        space = self.space(inputs.positions, inputs.elements, inputs.known) if "3d" in told else None
        bias = self._bias(inputs, blend, told, space).permute(0, 3, 1, 2)
        bias = bias.masked_fill(~inputs.mask[:, None, None, :], float("-inf"))
        x = self._embedded(inputs, blend, told, space)
        mask = F.pad(inputs.mask, (1, 0), value=True)
        whole = self._with_graph_token(bias).masked_fill(~mask[:, None, None, :], float("-inf")).to(compute_dtype(x))
        for layer in self.layers:  # one bias for all, already in the type they compute in
            x = layer(x, whole)
        return States(x, mask, bias, None if space is None else space.delta)

    def _bias(self, inputs: Inputs, blend: Blend | None, told: Sequence[Relation], space: Space | None) -> Tensor:
        """[B, N, N, H]."""
        of: dict[str, Tensor] = {}
        if "spd" in told:
            of["spd"] = self.spd(inputs.distances)
        if "path" in told:
            of["path"] = self.path(inputs.hops, inputs.distances)
        if space is not None:
            of["3d"] = space.bias
        if blend is None:
            return functools.reduce(torch.add, of.values())
        chosen = blend.relation.unsqueeze(-1)
        bias = torch.zeros((), device=inputs.mask.device)
        for code, name in enumerate(RELATIONS):
            if name in of:
                bias = torch.where(chosen == code, of[name], bias)
        return bias

    def _embedded(self, inputs: Inputs, blend: Blend | None, told: Sequence[Relation], space: Space | None) -> Tensor:
        """[B, 1 + N, D] before the first layer; the graph token is told of no relation."""
        b, n, f = inputs.atoms.shape
        x = F.embedding_bag(inputs.atoms.view(-1, f), self.atom.weight, mode="sum", padding_idx=0).view(b, n, -1)
        extra: list[Tensor] = []
        if "spd" in told or "path" in told:
            degree = self.in_degree(inputs.degrees) + self.out_degree(inputs.degrees)
            extra.append(degree if blend is None else degree * ~blend.space.unsqueeze(-1))
        if space is not None:
            extra.append(space.centrality if blend is None else space.centrality * blend.space.unsqueeze(-1))
        for part in extra:
            x = x + part
        x = torch.cat([self.graph_token.expand(b, 1, -1), x], dim=1)
        return F.dropout(self.norm(x), self.dropout, self.training)

    def _with_graph_token(self, bias: Tensor) -> Tensor:
        """[B, H, N, N] -> [B, H, 1 + N, 1 + N]: the same for all pairs with the graph token, itself included."""
        n = bias.shape[-1]
        edge = torch.zeros(n + 1, n + 1, dtype=torch.bool, device=bias.device)
        edge[0], edge[:, 0] = True, True
        return F.pad(bias, (1, 0, 1, 0)) + self.graph_bias[:, None, None] * edge

    def token_atoms(self, record: Record) -> NDArray[np.int64]:
        """[1 + N] the graph token stands for none."""
        return np.pad(self.graph_view.atoms(record), (1, 0), constant_values=-1)

    @property
    def blocks(self) -> list[nn.Module]:
        return list(self.layers)


def only_relations(encoder: Encoder, relations: Sequence[Relation]) -> Encoder:
    """A (restored) MoleBlend that goes on with some of its relations. Usable as a `class_path`.

    Raises:
        NotApplicable: it is no MoleBlend, or lacks one of them.
    """
    if not isinstance(encoder, MoleBlend):
        raise NotApplicable(f"only_relations takes a MoleBlend, not {type(encoder).__name__}")
    encoder.keep(relations)
    return encoder

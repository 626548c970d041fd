"""Uni-Mol (Zhou et al. 2023): atoms in space, seen through their pair distances."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from molfusion.batch import MoleculeBatch, Record, Tokens
from molfusion.encoders.base import Encoder
from molfusion.nn.gaussian import GaussianPairs
from molfusion.nn.init import initialise
from molfusion.nn.pair_transformer import PairBlock
from molfusion.nn.precision import float32_island
from molfusion.views.conformer import Conformers, ConformerView

# Uni-Mol's molecule dictionary by atomic number; index 0 is padding, and there are 31 symbols in all.
PAD, CLS, SEP, UNK, MASK, SYMBOLS = 0, 1, 2, 3, 30, 31
_ELEMENTS = {
    6: 4, 7: 5, 8: 6, 16: 7, 1: 8, 17: 9, 9: 10, 35: 11, 53: 12, 14: 13, 15: 14, 5: 15, 11: 16, 19: 17, 13: 18,
    20: 19, 50: 20, 33: 21, 80: 22, 26: 23, 30: 24, 24: 25, 34: 26, 64: 27, 79: 28, 3: 29,
}  # fmt: skip


class UniMolInputs(NamedTuple):
    """[CLS] atoms [SEP], padding 0; the two special tokens sit at the centroid."""

    tokens: Tensor  # [B, N] int64
    positions: Tensor  # [B, N, 3] Å, centred
    distances: Tensor  # [B, N, N] Å, 0 at padding
    pair_types: Tensor  # [B, N, N] int64, 31 t_i + t_j, 0 at padding


class UniMolStates(NamedTuple):
    """What the Transformer leaves behind: 3D-MoLM reads `x`, Uni-Mol's own pretraining also the rest."""

    x: Tensor  # [B, N, D] after the final norm
    mask: Tensor  # [B, N] True = real
    hidden: Tensor  # [B, N, D] before the final norm
    bias: Tensor  # [B, H, N, N] of the first layer, -inf in the columns of padding
    logits: Tensor  # [B, H, N, N] of the last layer, bias included


class UniMol(Encoder):
    """Token per heavy atom plus [CLS] and [SEP], invariant to rotation, translation and reflection.

    Defaults are the published size: 47,330,626 parameters.

    Args:
        dim: D.
        layers: Transformer layers.
        ffn: width of the feed-forward part.
        heads: attention heads, as many as pair channels.
        kernels: Gaussian kernels of a distance.
        reach: Å over which the kernels start out evenly; None: as published.
        dropout: on embeddings, residuals and attention.
        hydrogens: read them (weights `mol_pre_all_h`); 3D-MoLM does not (`mol_pre_no_h`).
        max_atoms: larger molecules are cropped.
        spare_padding: columns of padding behind the batch's longest molecule, for a `QFormer` with `mask: legacy_inverted`.
    """

    token_of: Tensor  # [256] atomic number -> token

    def __init__(
        self,
        dim: int = 512,
        layers: int = 15,
        ffn: int = 2048,
        heads: int = 64,
        kernels: int = 128,
        reach: float | None = None,
        dropout: float = 0.1,
        hydrogens: bool = False,
        max_atoms: int = 256,
        spare_padding: int = 0,
    ) -> None:
        super().__init__()
        self.dim, self.heads, self.dropout, self.spare_padding = dim, heads, dropout, spare_padding
        self.view = ConformerView(hydrogens=hydrogens, max_atoms=max_atoms)
        self.views = frozenset({self.view})
        self.embed = nn.Embedding(SYMBOLS, dim, padding_idx=PAD)
        self.embed_norm = nn.LayerNorm(dim)
        self.pair_hidden = nn.Linear(kernels, kernels)
        self.pair_out = nn.Linear(kernels, heads)
        self.layers = nn.ModuleList(PairBlock(dim, ffn, heads, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(dim)
        initialise(self, dim)
        self.gaussian = GaussianPairs(kernels, SYMBOLS * SYMBOLS, reach)  # has a start of its own
        rows = torch.full((256,), UNK)
        rows[0] = PAD
        for number, row in _ELEMENTS.items():
            rows[number] = row
        self.register_buffer("token_of", rows, persistent=False)

    def forward(self, batch: MoleculeBatch) -> Tokens:
        inputs = self.inputs(batch[self.view])
        states = self.encode(inputs.tokens, inputs.distances, inputs.pair_types)
        return Tokens(states.x, states.mask)

    def inputs(self, conformers: Conformers) -> UniMolInputs:
        """Special tokens, centring and pair distances, on the batch's own device."""
        atoms = self.token_of[conformers.numbers]
        b, n = atoms.shape
        lengths = conformers.mask.sum(1)
        tokens = atoms.new_zeros(b, n + 2 + self.spare_padding)
        tokens[:, 0] = CLS
        tokens[:, 1 : n + 1] = torch.where(conformers.mask, atoms, PAD)
        tokens[torch.arange(b, device=atoms.device), lengths + 1] = SEP
        with float32_island(conformers.positions):
            placed = conformers.positions.float()
            real = conformers.mask.unsqueeze(-1)
            centre = (placed * real).sum(1, keepdim=True) / lengths.view(b, 1, 1)
            positions = F.pad((placed - centre) * real, (0, 0, 1, 1 + self.spare_padding))
            distances = pair_distances(positions)
        pair_mask = tokens.ne(PAD)
        pair_mask = pair_mask[:, :, None] & pair_mask[:, None, :]
        pair_types = (tokens[:, :, None] * SYMBOLS + tokens[:, None, :]) * pair_mask
        return UniMolInputs(tokens, positions, distances * pair_mask, pair_types)

    def encode(self, tokens: Tensor, distances: Tensor, pair_types: Tensor) -> UniMolStates:
        """The network proper (3D-MoLM's `SimpleUniMolModel`)."""
        mask = tokens.ne(PAD)
        bias = self.pair_out(F.gelu(self.pair_hidden(self.gaussian(distances, pair_types))))
        bias = bias.permute(0, 3, 1, 2).float().masked_fill(~mask[:, None, None, :], float("-inf"))
        x = F.dropout(self.embed_norm(self.embed(tokens)), self.dropout, self.training)
        x = x * mask.unsqueeze(-1).to(x.dtype)
        logits = bias
        for layer in self.layers:
            x, logits = layer(x, logits)
        return UniMolStates(self.norm(x), mask, x, bias, logits)

    def token_atoms(self, record: Record) -> NDArray[np.int64]:
        """[2 + N] [CLS] and [SEP] stand for none, a hydrogen for the atom that it sits on."""
        return np.pad(self.view.atoms(record), 1, constant_values=-1)

    @property
    def blocks(self) -> list[nn.Module]:
        return list(self.layers)


def pair_distances(positions: Tensor) -> Tensor:
    """[B, N, 3] -> [B, N, N] Å. By differences: the shorter form through squares loses two digits."""
    delta = positions[:, :, None, :] - positions[:, None, :, :]
    squared = delta.square().sum(-1)
    apart = squared > 0  # the root's gradient at 0 is infinite
    return torch.where(apart, squared.where(apart, squared.new_ones(())).sqrt(), squared.new_zeros(()))

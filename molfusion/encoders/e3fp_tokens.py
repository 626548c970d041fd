"""Structure tokens: E3FP identifiers through one table, as DeepMoLM feeds them to its cross-attention."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from molfusion.batch import MoleculeBatch, Record, Tokens
from molfusion.encoders.base import Encoder
from molfusion.views.e3fp import E3FPView, ShellTokens
from molfusion.views.selfies import SelfiesView
from molfusion.views.text import Texts

Sides = Literal["both", "selfies", "e3fp"]


class E3FPTokens(Encoder):
    """What surrounds each atom in space, as tokens. Identifiers of all levels share one table; -1 is its zero row.

    `bag` (DeepMoLM's code) has a token for each atom and level, without order: [B, N · (level + 1), D], masked where
    there is no such shell. `joint` (DeepMoLM's paper, by 3D-MolT5's code) has one for each SELFIES token, [BOS] and
    [EOS] among them: half its own embedding and half the mean of its atom's levels, missing ones counted as zero.

    A molecule without any shell keeps its first token in a bag, a zero vector; in `joint` it is its SELFIES alone.

    Args:
        dim: D.
        tokens: see above.
        shells: what E3FP computes; `joint` reads it in rows of SELFIES.
        selfies: vocabulary of `joint`.
        sides: of `joint`, what is left when the other side is ablated; `e3fp` has tokens for atoms only.
        mix: of `joint`: `sum`, or `concat` by a small network (3D-MolT5's other setting).
        compat: of `joint`, as 3D-MolT5 has it: SELFIES stand alone only if no molecule of the whole batch has a shell.
    """

    def __init__(
        self,
        dim: int = 3584,
        tokens: Literal["bag", "joint"] = "bag",
        shells: E3FPView = E3FPView(),
        selfies: SelfiesView = SelfiesView(),
        sides: Sides = "both",
        mix: Literal["sum", "concat"] = "sum",
        compat: bool = False,
    ) -> None:
        super().__init__()
        if tokens == "bag" and sides != "both":
            raise ValueError(f"sides: {sides!r} is a setting of `tokens: joint`; a bag holds E3FP alone")
        self.dim, self.tokens, self.sides, self.mix, self.compat = dim, tokens, sides, mix, compat
        self.shells = replace(shells, rows="selfies") if tokens == "joint" else shells
        self.selfies = selfies
        read = [self.shells] if sides != "selfies" else []
        self.views = frozenset([*read, selfies] if tokens == "joint" else read)
        # Row 0 stands for what is missing, so identifiers are one higher.
        self.table = _embedding(self.shells.bits + 1, dim, padding=0) if sides != "selfies" else None
        words = tokens == "joint" and sides != "e3fp"
        self.words = _embedding(selfies.vocab_size, dim) if words else None
        joined = tokens == "joint" and mix == "concat" and sides == "both"
        self.joiner = nn.Sequential(nn.Linear(2 * dim, 4 * dim), nn.ReLU(), nn.Linear(4 * dim, dim)) if joined else None

    def forward(self, batch: MoleculeBatch) -> Tokens:
        if self.tokens == "bag":
            return self.bag(batch[self.shells].ids)
        texts: Texts = batch[self.selfies]
        if self.sides == "selfies":
            return Tokens(self._words(texts.ids), texts.mask)
        ids = framed(batch[self.shells], texts)
        if self.sides == "e3fp":
            return Tokens(self.mean(ids), at_least_one((ids >= 0).any(-1)))
        return Tokens(self.joint(texts.ids, ids), texts.mask)

    def bag(self, ids: Tensor) -> Tokens:
        """ids [B, R, L] (-1 = none) -> tokens [B, R · L, D]."""
        flat = ids.flatten(1)
        return Tokens(self._shells(flat), at_least_one(flat >= 0))

    def mean(self, ids: Tensor) -> Tensor:
        """ids [B, R, L] -> [B, R, D], missing levels counted as zero."""
        return self._shells(ids).mean(2)

    def joint(self, words: Tensor, ids: Tensor) -> Tensor:
        """SELFIES ids [B, T] and their shells [B, T, L] -> [B, T, D]."""
        spelt, placed = self._words(words), self.mean(ids)
        if self.joiner is not None:
            joined: Tensor = self.joiner(torch.cat([spelt, placed], dim=-1))
            return joined
        some = (ids >= 0).flatten(1).any(1)
        if self.compat:
            some = some.any().expand(len(ids))
        return torch.where(some.view(-1, 1, 1), 0.5 * (spelt + placed), spelt)

    def token_atoms(self, record: Record) -> NDArray[np.int64]:
        """[T] the atom around which a token's shells lie; none without such a shell."""
        centres = self.shells.members(record)[:, 0]  # [R, N]: a shell of level 0 is its atom
        atoms = np.where(centres.any(1), centres.argmax(1), -1)
        return np.repeat(atoms, self.shells.level + 1) if self.tokens == "bag" else np.pad(atoms, 1, constant_values=-1)

    def _shells(self, ids: Tensor) -> Tensor:
        assert self.table is not None
        x: Tensor = self.table(ids + 1)
        return x

    def _words(self, ids: Tensor) -> Tensor:
        assert self.words is not None
        x: Tensor = self.words(ids)
        return x


def framed(shells: ShellTokens, texts: Texts) -> Tensor:
    """Shells in rows of SELFIES [B, R, L] with a row each for [BOS] and [EOS]: [B, R + 2, L].

    Where another molecule lends its shells (`test --reliance`) the first tokens have those of its first ones.
    """
    own = shells.ids[:, : texts.ids.shape[1] - 2]
    return F.pad(own, (0, 0, 1, texts.ids.shape[1] - 1 - own.shape[1]), value=-1)


def at_least_one(mask: Tensor) -> Tensor:
    """The mask [B, T], with the first token of each row that has none."""
    first = torch.zeros_like(mask)
    first[:, 0] = ~mask.any(1)
    return mask | first


def _embedding(rows: int, dim: int, padding: int | None = None) -> nn.Embedding:
    table = nn.Embedding(rows, dim, padding_idx=padding)
    with torch.no_grad():
        table.weight.normal_(std=dim**-0.5)
        if padding is not None:
            table.weight[padding].zero_()
    return table

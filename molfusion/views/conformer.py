"""The view `conformer`: atoms and where they are."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from molfusion.batch import Arrays, Record, length_mask, pad
from molfusion.chem.conformer import embed
from molfusion.chem.parse import ChemError, parse
from molfusion.views.base import Features, View, ViewError


@dataclass
class Conformers(Arrays):
    numbers: Tensor  # [B, N] int64 atomic numbers, 0 = padding
    positions: Tensor  # [B, N, 3] float32 Å, 0 = padding
    mask: Tensor  # [B, N] bool


@dataclass(frozen=True)
class ConformerView(View):
    """Atomic numbers and coordinates, as the source gave them or else embedded by RDKit.

    `optimise: mmff` (200 iterations) or `mmff_converged` repeat what 3D-MoLM and DeepMoLM did to their data;
    the default does not: it moves E3FP tokens no more than another seed does, and costs as much as embedding.
    """

    pads: ClassVar[Literal["", "pairs", "text"]] = "pairs"

    hydrogens: bool = False
    max_atoms: int = 256  # a larger molecule is cropped to this many atoms, drawn with a fixed seed
    seed: int = 0
    optimise: Literal["none", "mmff", "mmff_converged"] = "none"

    def featurise(self, record: Record) -> Features:
        if record.geometry is not None:
            numbers, positions = record.geometry.numbers, record.geometry.positions
        else:
            try:
                numbers, positions, _ = embed(parse(record.smiles), self.seed, self.optimise)
            except ChemError as error:
                raise ViewError(str(error)) from error
        if not np.isfinite(positions).all():
            raise ViewError("a coordinate is not a finite number")
        kept = np.arange(len(numbers)) if self.hydrogens else heavy_atoms(numbers)
        if len(kept) > self.max_atoms:
            seed = hashlib.blake2b(record.canonical.encode(), digest_size=8).digest()
            drawn = np.random.default_rng(int.from_bytes(seed, "little")).permutation(len(kept))
            kept = kept[drawn[: self.max_atoms]]
        return {"numbers": numbers[kept].astype(np.uint8), "positions": positions[kept].astype(np.float32)}

    def collate(self, items: Sequence[Features]) -> Conformers:
        return Conformers(
            numbers=torch.from_numpy(pad([i["numbers"] for i in items]).astype(np.int64)),
            positions=torch.from_numpy(pad([i["positions"] for i in items])),
            mask=length_mask([len(i["numbers"]) for i in items]),
        )


def heavy_atoms(numbers: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Indices of all atoms but hydrogen; of all atoms where there are only hydrogens (H2 keeps its own)."""
    kept = np.flatnonzero(numbers != 1)
    return kept if len(kept) else np.arange(len(numbers))

"""The view `conformer`: atoms and where they are."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from molfusion.batch import Arrays, Ragged, Record
from molfusion.chem.conformer import MAX_HEAVY, Optimise, embed
from molfusion.chem.parse import ChemError, parse
from molfusion.views.base import Fallback, Features, View, ViewError, joined


@dataclass
class Conformers(Arrays):
    numbers: Tensor  # [B, N] int64 atomic numbers, 0 = padding
    positions: Tensor  # [B, N, 3] float32 Å, 0 = padding
    mask: Tensor  # [B, N] bool

    pairs: ClassVar[bool] = True


@dataclass(frozen=True)
class EmbeddingView(View):
    """All atoms where RDKit puts them: embedded once for every view that starts from such coordinates.

    No model reads it. Not even looked at are the coordinates that a source gave.
    """

    seed: int = 0
    optimise: Optimise = "none"
    max_embedded: int = MAX_HEAVY  # heavy atoms; a larger molecule is refused

    def featurise(self, record: Record) -> Features:
        try:
            found = embed(parse(record.smiles), self.seed, self.optimise, self.max_embedded)
        except ChemError as error:
            raise ViewError(str(error)) from error
        features: Features = {"numbers": found.numbers, "positions": found.positions}
        return features if found.rung == "etkdg" else Fallback(features, f"embedded from {found.rung.replace('_', ' ')}")

    def collate(self, items: Sequence[Features]) -> Conformers:
        return self.collate_flat(joined(items))

    def collate_flat(self, fields: Mapping[str, Ragged]) -> Conformers:
        return _collate(fields)

    def key(self, record: Record) -> bytes:
        """Of the SMILES alone: conformers of one molecule share an embedding."""
        return hashlib.blake2b(record.smiles.encode(), digest_size=16).digest()


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
    optimise: Optimise = "none"
    max_embedded: int = MAX_HEAVY  # heavy atoms; a larger molecule without coordinates has no such view

    def featurise(self, record: Record) -> Features:
        if record.geometry is not None:
            return self._kept(record, record.geometry.numbers, record.geometry.positions)
        return self.featurise_embedded(record, self._embedding.featurise(record))

    def embedding(self, record: Record) -> View | None:
        return self._embedding if record.geometry is None else None

    @property
    def _embedding(self) -> EmbeddingView:
        return EmbeddingView(self.seed, self.optimise, self.max_embedded)

    def featurise_embedded(self, record: Record, embedded: Features | ViewError) -> Features:
        if isinstance(embedded, ViewError):
            raise embedded
        return self._kept(record, embedded["numbers"], embedded["positions"])

    def _kept(self, record: Record, numbers: NDArray[np.uint8], positions: NDArray[np.float32]) -> Features:
        if not np.isfinite(positions).all():
            raise ViewError("a coordinate is not a finite number")
        kept = self._chosen(record, numbers)
        return {"numbers": numbers[kept].astype(np.uint8), "positions": positions[kept].astype(np.float32)}

    def atoms(self, record: Record) -> NDArray[np.int64]:
        """[N] for each atom of this view its index in the SMILES; a hydrogen that is not written there has that of the
        atom nearest to it.

        Raises:
            ViewError: it has no such view.
        """
        if record.geometry is not None:
            numbers, positions = record.geometry.numbers, record.geometry.positions
        else:
            found = self._embedding.featurise(record)
            numbers, positions = found["numbers"], found["positions"]
        index, written = np.arange(len(numbers)), parse(record.smiles).GetNumAtoms()
        apart = np.linalg.norm(positions[written:, None] - positions[None, :written], axis=-1)
        index[written:] = apart.argmin(1)
        return index[self._chosen(record, numbers)]

    def _chosen(self, record: Record, numbers: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Which of the source's atoms this view has."""
        kept = np.arange(len(numbers)) if self.hydrogens else heavy_atoms(numbers)
        if len(kept) > self.max_atoms:
            seed = hashlib.blake2b(record.canonical.encode(), digest_size=8).digest()
            drawn = np.random.default_rng(int.from_bytes(seed, "little")).permutation(len(kept))
            kept = kept[drawn[: self.max_atoms]]
        return kept

    def collate(self, items: Sequence[Features]) -> Conformers:
        return self.collate_flat(joined(items))

    def collate_flat(self, fields: Mapping[str, Ragged]) -> Conformers:
        return _collate(fields)


def _collate(fields: Mapping[str, Ragged]) -> Conformers:
    return Conformers(
        numbers=torch.from_numpy(fields["numbers"].padded(dtype=np.int64)),
        positions=torch.from_numpy(fields["positions"].padded()),
        mask=torch.from_numpy(fields["numbers"].mask()),
    )


def heavy_atoms(numbers: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Indices of all atoms but hydrogen; of all atoms where there are only hydrogens (H2 keeps its own)."""
    kept = np.flatnonzero(numbers != 1)
    return kept if len(kept) else np.arange(len(numbers))

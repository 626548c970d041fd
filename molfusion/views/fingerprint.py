"""The view `fingerprint`: how often each substructure occurs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from molfusion.batch import Arrays, Ragged, Record
from molfusion.chem.fingerprint import Kind, counts
from molfusion.chem.parse import ChemError, parse
from molfusion.views.base import Features, View, ViewError, joined


@dataclass
class Fingerprints(Arrays):
    counts: Tensor  # [B, kinds × bits] float32


@dataclass(frozen=True)
class FingerprintView(View):
    """Counts of ECFP and atom-pair substructures, each folded to `bits`. Blind to stereo and to geometry."""

    kinds: tuple[Kind, ...] = ("ecfp", "atompair")
    bits: int = 2048
    radius: int = 2

    @property
    def width(self) -> int:
        return self.bits * len(self.kinds)

    def featurise(self, record: Record) -> Features:
        try:
            mol = parse(record.smiles)
        except ChemError as error:
            raise ViewError(str(error)) from error
        parts = [counts(mol, kind, self.bits, self.radius) for kind in self.kinds]
        return {
            "index": np.concatenate([index + i * self.bits for i, (index, _) in enumerate(parts)]).astype(np.int32),
            "count": np.concatenate([count for _, count in parts]),
        }

    def collate(self, items: Sequence[Features]) -> Fingerprints:
        return self.collate_flat(joined(items))

    def collate_flat(self, fields: Mapping[str, Ragged]) -> Fingerprints:
        index, count = fields["index"], fields["count"]
        dense = np.zeros((len(index.lengths), self.width), dtype=np.float32)
        dense[np.repeat(np.arange(len(dense)), index.lengths), index.flat] = count.flat
        return Fingerprints(torch.from_numpy(dense))

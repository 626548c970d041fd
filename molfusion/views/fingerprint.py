"""The view `fingerprint`: how often each substructure occurs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from molfusion.batch import Arrays, Record
from molfusion.chem.fingerprint import Kind, counts
from molfusion.chem.parse import ChemError, parse
from molfusion.views.base import Features, View, ViewError


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
        dense = np.zeros((len(items), self.width), dtype=np.float32)
        for row, item in zip(dense, items, strict=True):
            row[item["index"]] = item["count"]
        return Fingerprints(torch.from_numpy(dense))

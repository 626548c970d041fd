"""The view `conformer` of molecules that may have none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import ClassVar, Literal

import numpy as np

from molfusion.batch import Ragged, Record
from molfusion.views.base import Features, View, ViewError
from molfusion.views.conformer import Conformers, ConformerView


@dataclass(frozen=True)
class OptionalConformerView(View):
    """As `ConformerView`; where that has nothing, the molecule's row of the mask is empty."""

    pads: ClassVar[Literal["", "pairs", "text"]] = "pairs"

    hydrogens: bool = False
    max_atoms: int = 256
    seed: int = 0
    optimise: Literal["none", "mmff", "mmff_converged"] = "none"

    @property
    def required(self) -> ConformerView:
        return ConformerView(**{f.name: getattr(self, f.name) for f in fields(self)})

    def featurise(self, record: Record) -> Features:
        try:
            return self.required.featurise(record)
        except ViewError:
            return {"numbers": np.zeros(0, np.uint8), "positions": np.zeros((0, 3), np.float32)}

    def embedding(self, record: Record) -> View | None:
        return self.required.embedding(record)

    def featurise_embedded(self, record: Record, embedded: Features | ViewError) -> Features:
        try:
            return self.required.featurise_embedded(record, embedded)
        except ViewError:
            return {"numbers": np.zeros(0, np.uint8), "positions": np.zeros((0, 3), np.float32)}

    def collate(self, items: Sequence[Features]) -> Conformers:
        return self.required.collate(items)

    def collate_flat(self, fields: Mapping[str, Ragged]) -> Conformers:
        return self.required.collate_flat(fields)

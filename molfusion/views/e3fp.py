"""The view `e3fp`: what surrounds each atom in space, as one number for each radius."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from molfusion.batch import Arrays, Record, length_mask, pad
from molfusion.chem import e3fp, e3fp_package
from molfusion.chem.conformer import Optimise, embed
from molfusion.chem.parse import ChemError, parse, reordered
from molfusion.chem.selfies import atom_tokens, spell
from molfusion.views.base import Features, View, ViewError


@dataclass
class ShellTokens(Arrays):
    ids: Tensor  # [B, R, level + 1] int64 places in the fingerprint; -1 = no such shell, or padding
    mask: Tensor  # [B, R] bool, True = a row of this molecule (of which, with rows of SELFIES, some hold no shell)


@dataclass(frozen=True)
class E3FPView(View):
    """E3FP identifiers of each atom at each level, folded to `bits`.

    Defaults are DeepMoLM's, from its own code. Its training data (3D-MolT5's) have `rows: selfies` and `merge: true`:
    a row a SELFIES token, and duplicate shells under one name. `rows: selfies` stand in the order of `SelfiesView`.
    """

    bits: int = 4096
    level: int = 3
    radius: float = 1.718  # Å a level
    stereo: bool = True
    invariants: Literal["rdkit", "daylight"] = "rdkit"
    floating: bool = True  # atoms without bonds (ions) have shells
    rows: Literal["atoms", "selfies"] = "atoms"
    merge: bool = False
    seed: int = 0  # of the conformer, where the record brings none
    optimise: Optimise = "none"
    backend: Literal["ours", "package"] = "ours"  # the same numbers; `package` is about twenty times slower

    tools: ClassVar[tuple[str, ...]] = ("rdkit", "mmh3", "e3fp", "selfies")

    def featurise(self, record: Record) -> Features:
        try:
            mol = parse(record.smiles)
            positions = self._positions(record, mol)
            if self.rows == "atoms":
                return {"ids": self._ids(mol, positions)}
            spelling = spell(mol)
            # Duplicate shells are named in the order of the atoms, so that order is the string's.
            ids = self._ids(reordered(mol, spelling.order), positions[spelling.order])
            at = atom_tokens(spelling.tokens)
            if len(at) != len(ids):
                raise ChemError(f"its SELFIES has {len(at)} atoms, the molecule {len(ids)}")
        except ChemError as error:
            raise ViewError(str(error)) from error
        rows = np.full((len(spelling.tokens), self.level + 1), -1, dtype=ids.dtype)
        rows[at] = ids
        return {"ids": rows}

    def collate(self, items: Sequence[Features]) -> ShellTokens:
        return ShellTokens(
            ids=torch.from_numpy(pad([i["ids"] for i in items], -1).astype(np.int64)),
            mask=length_mask([len(i["ids"]) for i in items]),
        )

    def _positions(self, record: Record, mol: Any) -> NDArray[np.float64]:
        geometry = record.geometry
        given = geometry.positions if geometry is not None else embed(mol, self.seed, self.optimise).positions
        if not np.isfinite(given).all():
            raise ChemError("a coordinate is not a finite number")
        return given[: mol.GetNumAtoms()].astype(np.float64)

    def _ids(self, mol: Any, positions: NDArray[np.float64]) -> NDArray[Any]:
        settings = e3fp.Settings(self.level, self.radius, self.stereo, self.invariants, self.floating)
        if self.backend == "package":
            found = e3fp_package.shells(mol, positions, settings)
        else:
            (found,) = e3fp.shells([mol], [positions], settings)
        places = e3fp.fold(e3fp.merge(found, self.bits) if self.merge else found.identifiers, self.bits)
        return places.astype(np.int16 if self.bits <= 1 << 15 else np.int32)

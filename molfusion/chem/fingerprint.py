"""Count fingerprints of the molecular graph."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem import rdFingerprintGenerator as generators

Kind = Literal["ecfp", "atompair"]


def counts(mol: Chem.Mol, kind: Kind, bits: int, radius: int = 2) -> tuple[NDArray[np.int32], NDArray[np.uint16]]:
    """Folded indices that occur, ascending, and how often: ECFP of `radius` or atom pairs."""
    found = _generator(kind, bits, radius).GetCountFingerprint(mol).GetNonzeroElements()
    index = np.array(sorted(found), dtype=np.int32)
    return index, np.array([min(found[int(i)], 65535) for i in index], dtype=np.uint16)


def _generator(kind: Kind, bits: int, radius: int) -> Any:
    if kind == "ecfp":
        return generators.GetMorganGenerator(radius=radius, fpSize=bits)
    return generators.GetAtomPairGenerator(fpSize=bits)

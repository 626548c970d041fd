"""The package `e3fp` behind the same call as our own code: the oracle of its tests, and a backend to choose."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from molfusion.chem.e3fp import ABSENT, Settings, Shells
from molfusion.chem.parse import ChemError


def shells(mol: Chem.Mol, positions: NDArray[np.float64], settings: Settings) -> Shells:
    """As `molfusion.chem.e3fp.shells`, for one molecule.

    Raises:
        ChemError: the package refuses the molecule.
    """
    from e3fp.fingerprint.fprinter import Fingerprinter

    described = Chem.Mol(mol)
    described.RemoveAllConformers()
    conformer = Chem.Conformer(mol.GetNumAtoms())
    for i, (x, y, z) in enumerate(np.asarray(positions, dtype=np.float64).tolist()):
        conformer.SetAtomPosition(i, (x, y, z))
    described.AddConformer(conformer)
    printer = Fingerprinter(
        level=settings.level,
        radius_multiplier=settings.radius,
        stereo=settings.stereo,
        rdkit_invariants=settings.invariants == "rdkit",
        exclude_floating=not settings.floating,
    )
    try:
        printer.run(mol=described)
    except (KeyError, IndexError, ValueError) as error:
        raise ChemError(f"the package e3fp refuses it: {type(error).__name__}: {error}") from error
    n, levels = mol.GetNumAtoms(), settings.level + 1
    out = Shells(np.full((n, levels), ABSENT), np.zeros((n, levels), dtype=bool), np.zeros((n, levels, n), dtype=bool))
    for k, shell in enumerate(printer.all_shells):
        i, level = shell.center_atom, k // len(printer.atoms)
        out.identifiers[i, level] = shell.identifier
        out.duplicate[i, level] = shell.is_duplicate
        out.members[i, level, [int(a) for a in shell.substruct.atoms]] = True
    return out

"""Coordinates in another atom order than their SMILES: which atom is which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem import rdDetermineBonds
from rdkit.Geometry import Point3D

from molfusion.chem.parse import ChemError, canonical, parse

_MOST_MATCHES = 256  # of symmetric molecules, among which the one of the right handedness is looked for
_STRETCH = 1.4  # a bond is no longer than this times the sum of the covalent radii


def placed(smiles: str, numbers: Sequence[int], positions: NDArray[Any]) -> list[int]:
    """The order in which given atoms are those of a SMILES, hydrogens behind.

    If they stand in that order but for the hydrogens, that is it. Otherwise bonds are told from distances and the two
    graphs matched, hydrogens included where they agree; among equally good matches the first of the SMILES's stereo is
    taken.

    Args:
        smiles: of the molecule.
        numbers: [N] atomic numbers.
        positions: [N, 3] Å.

    Raises:
        ChemError: no molecule, other atoms, or other bonds.
    """
    mol = parse(smiles)
    hydrogens = [i for i, z in enumerate(numbers) if z == 1]
    heavy = [i for i, z in enumerate(numbers) if z != 1]
    wanted = [a.GetAtomicNum() for a in mol.GetAtoms()]
    if sorted(wanted) != sorted(numbers[i] for i in heavy):
        raise ChemError(f"the coordinates are of other atoms than {smiles!r}")
    if [numbers[i] for i in heavy] == wanted and _bonded(mol, positions[heavy]):
        return heavy + hydrogens
    seen = _plain(numbers, positions)
    rdDetermineBonds.DetermineConnectivity(seen)
    pattern = _plain(wanted)
    for bond in mol.GetBonds():
        pattern.AddBond(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx(), Chem.BondType.SINGLE)
    # A label that must agree: =O and -OH are alike but for it. Tautomers may differ there, so that it is no condition.
    for atom, given in zip(pattern.GetAtoms(), mol.GetAtoms(), strict=True):
        atom.SetIsotope(1 + given.GetTotalNumHs())
    for atom in seen.GetAtoms():
        atom.SetIsotope(1 + sum(n.GetAtomicNum() == 1 for n in atom.GetNeighbors()))
    found = _matches(seen, pattern)
    if not found:
        for atom in pattern.GetAtoms():
            atom.SetIsotope(0)
        found = _matches(seen, pattern)
    between = sum(1 not in (b.GetBeginAtom().GetAtomicNum(), b.GetEndAtom().GetAtomicNum()) for b in seen.GetBonds())
    if not found or between != pattern.GetNumBonds():
        raise ChemError(f"the coordinates show other bonds than {smiles!r}")
    return next((m for m in found if _isomer(mol, positions[m]) == canonical(mol)), found[0]) + hydrogens


def _matches(seen: Chem.Mol, pattern: Chem.Mol) -> list[list[int]]:
    return [list(match) for match in seen.GetSubstructMatches(pattern, uniquify=False, maxMatches=_MOST_MATCHES)]


def _bonded(mol: Chem.Mol, positions: NDArray[Any]) -> bool:
    radius = Chem.GetPeriodicTable().GetRcovalent
    return all(
        np.linalg.norm(positions[b.GetBeginAtomIdx()] - positions[b.GetEndAtomIdx()])
        <= _STRETCH * (radius(b.GetBeginAtom().GetAtomicNum()) + radius(b.GetEndAtom().GetAtomicNum()))
        for b in mol.GetBonds()
    )


def _plain(numbers: Sequence[int], positions: NDArray[Any] | None = None) -> Chem.RWMol:
    """Atoms without bonds or charges."""
    mol = Chem.RWMol()
    for z in numbers:
        atom = Chem.Atom(int(z))
        atom.SetNoImplicit(True)
        mol.AddAtom(atom)
    return mol if positions is None else _with(mol, positions)


def _with(mol: Chem.Mol, positions: NDArray[Any]) -> Any:
    conformer = Chem.Conformer(len(positions))
    for i, (x, y, z) in enumerate(positions.astype(float)):
        conformer.SetAtomPosition(i, Point3D(x, y, z))
    mol.RemoveAllConformers()
    mol.AddConformer(conformer)
    return mol


def _isomer(mol: Chem.Mol, positions: NDArray[Any]) -> str:
    """Canonical SMILES with the stereo that the coordinates show."""
    shown = _with(Chem.Mol(mol), positions)
    Chem.AssignStereochemistryFrom3D(shown)
    return canonical(shown)

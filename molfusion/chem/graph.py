"""Atoms and bonds as small integers: the feature set of OGB (Hu et al. 2020, `ogb.utils.features`)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

_CHIRALITY = ["CHI_UNSPECIFIED", "CHI_TETRAHEDRAL_CW", "CHI_TETRAHEDRAL_CCW", "CHI_OTHER"]
_HYBRIDISATION = ["SP", "SP2", "SP3", "SP3D", "SP3D2"]
_BOND = ["SINGLE", "DOUBLE", "TRIPLE", "AROMATIC"]
_STEREO = ["STEREONONE", "STEREOZ", "STEREOE", "STEREOCIS", "STEREOTRANS", "STEREOANY"]
_DIRECTION = ["NONE", "ENDUPRIGHT", "ENDDOWNRIGHT"]

# Number of values of each atom feature, the last one "anything else".
ATOM_SIZES = (119, 5, 12, 12, 10, 6, 6, 2, 2)
BOND_SIZES = (5, 6, 2)


class Graph(NamedTuple):
    """The molecular graph; every bond stands in both directions, one after the other."""

    atoms: NDArray[np.uint8]  # [N, 9]
    bonds: NDArray[np.uint8]  # [2E, 3]
    edges: NDArray[np.int32]  # [2E, 2] source, target


def graph(mol: Chem.Mol) -> Graph:
    """Features of the atoms exactly as parsing returned them (implicit hydrogens stay implicit)."""
    atoms = np.array([_atom(a) for a in mol.GetAtoms()], dtype=np.uint8).reshape(-1, len(ATOM_SIZES))
    bonds, edges = [], []
    for bond in mol.GetBonds():
        i, j, features = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx(), _bond(bond)
        bonds += [features, features]
        edges += [(i, j), (j, i)]
    return Graph(
        atoms,
        np.array(bonds, dtype=np.uint8).reshape(-1, len(BOND_SIZES)),
        np.array(edges, dtype=np.int32).reshape(-1, 2),
    )


def _atom(atom: Chem.Atom) -> tuple[int, ...]:
    return (
        min(max(atom.GetAtomicNum() - 1, -1) % 119, 118),  # dummy atoms (Z = 0) share the last index
        _index(_CHIRALITY, str(atom.GetChiralTag())),
        min(atom.GetTotalDegree(), 11),
        atom.GetFormalCharge() + 5 if -5 <= atom.GetFormalCharge() <= 5 else 11,
        min(atom.GetTotalNumHs(), 9),
        min(atom.GetNumRadicalElectrons(), 5),
        _index(_HYBRIDISATION, str(atom.GetHybridization())),
        int(atom.GetIsAromatic()),
        int(atom.IsInRing()),
    )


def _bond(bond: Chem.Bond) -> tuple[int, ...]:
    return (_index(_BOND, str(bond.GetBondType())), _index(_STEREO, str(bond.GetStereo())), int(bond.GetIsConjugated()))


def _index(values: list[str], value: str) -> int:
    return values.index(value) if value in values else len(values)

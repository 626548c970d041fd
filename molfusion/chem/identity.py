"""Who a molecule is: with its stereo, without, and by its elements."""

from __future__ import annotations

from typing import NamedTuple

from rdkit import Chem
from rdkit.Chem.inchi import MolToInchiKey

from molfusion.chem.parse import canonical, flat_canonical


class Identity(NamedTuple):
    key: str  # InChIKey: with stereo, but one for all tautomers and places of a charge that InChI unites
    graph: str  # canonical SMILES without stereo
    elements: frozenset[str]  # symbols


def identify(mol: Chem.Mol) -> Identity:
    return Identity(inchikey(mol), flat_canonical(mol), frozenset(atom.GetSymbol() for atom in mol.GetAtoms()))


def inchikey(mol: Chem.Mol) -> str:
    """Standard InChIKey; the canonical SMILES where InChI has none."""
    return str(MolToInchiKey(mol)) or canonical(mol)

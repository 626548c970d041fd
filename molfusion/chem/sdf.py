"""One entry of an SD file: its SMILES, its coordinates in the order of that SMILES, its properties."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from molfusion.chem.parse import ChemError


class Entry(NamedTuple):
    smiles: str  # stereo from the coordinates where they are 3D, from the wedges where not
    numbers: NDArray[np.uint8] | None  # [N] atoms of `smiles` in its order, then hydrogens; None: a flat drawing
    positions: NDArray[np.float32] | None  # [N, 3] Å


def properties(block: str) -> dict[str, str]:
    """The data items of one entry, and its first line as `_Name`."""
    lines = block.splitlines()
    found = {"_Name": lines[0].strip() if lines else ""}
    name = ""
    for line in lines:
        if line.startswith(">") and "<" in line:
            name = line[line.index("<") + 1 : line.rindex(">")]
            found[name] = ""
        elif not line.strip():
            name = ""
        elif name:
            found[name] = f"{found[name]}\n{line}" if found[name] else line
    return found


def read_entry(block: str) -> Entry:
    """The molecule of one entry.

    Raises:
        ChemError: not a mol block, no atoms, or chemistry RDKit refuses (named, with the atom).
    """
    mol = Chem.MolFromMolBlock(block, sanitize=False, removeHs=False)
    if mol is None:
        raise ChemError("not a mol block")
    if mol.GetNumAtoms() == 0:
        raise ChemError("the mol block has no atoms")
    problems = [problem.Message() for problem in Chem.DetectChemistryProblems(mol)]
    if problems:
        raise ChemError("; ".join(problems))
    Chem.SanitizeMol(mol)
    solid = mol.GetNumConformers() > 0 and mol.GetConformer().Is3D()
    if solid:
        Chem.AssignStereochemistryFrom3D(mol)
    else:
        Chem.AssignChiralTypesFromBondDirs(mol)
        Chem.AssignStereochemistry(mol, cleanIt=True, force=True)
    return entry_of(mol, solid)


def entry_of(mol: Chem.Mol, solid: bool) -> Entry:
    """The molecule without hydrogens as SMILES; if `solid`, with the coordinates of all its atoms."""
    for atom in mol.GetAtoms():
        atom.SetIntProp("_entry", atom.GetIdx())
    heavy = Chem.RemoveHs(mol)
    smiles = str(Chem.MolToSmiles(heavy))
    if not solid:
        return Entry(smiles, None, None)
    written = heavy.GetPropsAsDict(includePrivate=True, includeComputed=True)["_smilesAtomOutputOrder"]
    order = [heavy.GetAtomWithIdx(int(i)).GetIntProp("_entry") for i in written]
    order += sorted(set(range(mol.GetNumAtoms())) - set(order))
    numbers = np.array([mol.GetAtomWithIdx(i).GetAtomicNum() for i in order], dtype=np.uint8)
    return Entry(smiles, numbers, mol.GetConformer().GetPositions()[order].astype(np.float32))

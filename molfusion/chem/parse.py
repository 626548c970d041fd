"""SMILES in, molecules out, with a reason where that fails."""

from __future__ import annotations

import re

from rdkit import Chem, rdBase

# RDKit prints to stderr what it also returns; the reason travels in ChemError instead.
rdBase.DisableLog("rdApp.*")

LONGEST = 5000  # characters; the largest molecule of ChEBI-20 has 1,375, and RDKit's canonicaliser crashes at 20,000 atoms
_STRANGE = re.compile(r"[^!-~]")  # RDKit stops reading there and takes what came before: "C C" is methane to it


class ChemError(ValueError):
    """RDKit cannot do this with this molecule; the message says why."""


def parse(smiles: str) -> Chem.Mol:
    """A sanitised molecule in the atom order of `smiles`.

    Raises:
        ChemError: empty, too long, a syntax error, or chemistry RDKit refuses (named, with the atom).
    """
    if not smiles.strip():
        raise ChemError("the SMILES is empty")
    if len(smiles) > LONGEST:
        raise ChemError(f"a SMILES of {len(smiles)} characters, expected at most {LONGEST}: {smiles[:40]!r} ...")
    if (strange := _STRANGE.search(smiles.strip().partition(" |")[0])) is not None:
        raise ChemError(f"not a SMILES: it has {strange[0]!r} in it: {smiles!r}")
    mol = Chem.MolFromSmiles(smiles)
    if mol is not None:
        return mol
    rough = Chem.MolFromSmiles(smiles, sanitize=False)
    if rough is None:
        raise ChemError(f"not a SMILES: {smiles!r}")
    problems = [problem.Message() for problem in Chem.DetectChemistryProblems(rough)]
    raise ChemError(f"{'; '.join(problems) or 'sanitisation failed'}: {smiles!r}")


def unescape(smiles: str) -> str:
    """Undo doubled backslashes (15 % of ChEBI-20's rows): RDKit reads them, SELFIES does not."""
    return smiles.replace("\\\\", "\\")


def canonical(mol: Chem.Mol) -> str:
    return str(Chem.MolToSmiles(mol))


def flat_canonical(mol: Chem.Mol) -> str:
    """Canonical SMILES without stereo: the molecular graph."""
    return str(Chem.MolToSmiles(mol, isomericSmiles=False))


def canonical_order(mol: Chem.Mol) -> tuple[str, list[int]]:
    """Canonical SMILES, and for each atom of it the index of the same atom in `mol`."""
    text = str(Chem.MolToSmiles(mol))
    order = mol.GetPropsAsDict(includePrivate=True, includeComputed=True)["_smilesAtomOutputOrder"]
    return text, [int(i) for i in order]


def reordered(mol: Chem.Mol, order: list[int]) -> Chem.Mol:
    """The same molecule with atom `order[k]` in place k."""
    return Chem.RenumberAtoms(mol, order)

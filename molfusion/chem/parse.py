"""SMILES in, molecules out, with a reason where that fails."""

from __future__ import annotations

from rdkit import Chem, rdBase

# RDKit prints to stderr what it also returns; the reason travels in ChemError instead.
rdBase.DisableLog("rdApp.*")


class ChemError(ValueError):
    """RDKit cannot do this with this molecule; the message says why."""


def parse(smiles: str) -> Chem.Mol:
    """A sanitised molecule in the atom order of `smiles`.

    Raises:
        ChemError: empty, a syntax error, or chemistry RDKit refuses (named, with the atom).
    """
    if not smiles.strip():
        raise ChemError("the SMILES is empty")
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

"""How alike two molecules are: fingerprints, edit distance, common substructure."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import Any, Literal

from rdkit import Chem, DataStructs
from rdkit.Chem import MACCSkeys, rdRascalMCES
from rdkit.Chem import rdFingerprintGenerator as generators

from molfusion.chem.identity import inchikey
from molfusion.chem.parse import ChemError, canonical, parse

Print = Literal["maccs", "morgan2", "morgan3", "rdk", "counts2"]

_MAKERS: dict[Print, Any] = {
    "maccs": MACCSkeys.GenMACCSKeys,
    "morgan2": generators.GetMorganGenerator(radius=2, fpSize=2048).GetFingerprint,
    "morgan3": generators.GetMorganGenerator(radius=3, fpSize=2048).GetFingerprint,
    "rdk": generators.GetRDKitFPGenerator().GetFingerprint,
    "counts2": generators.GetMorganGenerator(radius=2, fpSize=2048).GetCountFingerprint,
}


def molecule(smiles: str | None) -> Chem.Mol | None:
    """The molecule of a generated string; None where it is none."""
    try:
        return None if smiles is None else parse(smiles)
    except ChemError:
        return None


def kekulised(smiles: str | None) -> Chem.Mol | None:
    """As 3M-Diffusion's evaluation reads a string: aromatic flags stay, bonds alternate; the empty string is a molecule."""
    mol = None if smiles is None else Chem.MolFromSmiles(smiles)
    if mol is None:
        return None
    try:
        Chem.Kekulize(mol)
    except Chem.KekulizeException:
        return None
    return mol


class Known:
    """A molecule and what it is compared by, each computed when it is first asked for."""

    def __init__(self, mol: Chem.Mol) -> None:
        self.mol = mol
        self._prints: dict[Print, Any] = {}

    def fingerprint(self, kind: Print) -> Any:
        if kind not in self._prints:
            self._prints[kind] = fingerprint(self.mol, kind)
        return self._prints[kind]

    @cached_property
    def canonical(self) -> str:
        return canonical(self.mol)

    @cached_property
    def inchikey(self) -> str:
        return inchikey(self.mol)


@lru_cache(maxsize=50_000)  # a model makes the same molecules again and again, and every prompt is asked for several
def known(smiles: str | None, released: bool = False) -> Known | None:
    """The molecule of a string as `molecule` or, as released, `kekulised` reads it; None where it is none."""
    mol = kekulised(smiles) if released else molecule(smiles)
    return None if mol is None else Known(mol)


def fingerprint(mol: Chem.Mol, kind: Print) -> Any:
    """MACCS keys (166), Morgan of radius 2 or 3 (2048 bits), RDKit's paths (2048 bits), or counts of Morgan of radius 2."""
    return _MAKERS[kind](mol)


def tanimoto(print_: Any, others: Sequence[Any]) -> list[float]:
    """Of one fingerprint with each of the others; of counts the sum of the smaller over the sum of the larger."""
    return list(DataStructs.BulkTanimotoSimilarity(print_, list(others)))


def cosine(a: Any, b: Any) -> float:
    """Of two fingerprints; 0 where one is empty."""
    return float(DataStructs.CosineSimilarity(a, b))


def common_part(a: Chem.Mol, b: Chem.Mol) -> float:
    """RASCAL's first bound on the similarity by the maximum common edge subgraph, from 0 to 1."""
    options = rdRascalMCES.RascalOptions()
    options.returnEmptyMCES = True
    found = rdRascalMCES.FindMCES(a, b, options)
    return float(found[0].tier1Sim) if found else 0.0


@lru_cache(maxsize=50_000)
def levenshtein(a: str, b: str) -> int:
    """Fewest single characters to insert, delete or replace."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (x != y))
    return row[-1]

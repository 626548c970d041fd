"""One conformer a molecule, the same on every machine, in every order, for every spelling of its SMILES."""

from __future__ import annotations

import hashlib
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem import AllChem
from rdkit.Chem import rdDistGeom as dg

from molfusion.chem.parse import ChemError, canonical_order, parse

Optimise = Literal["none", "mmff", "mmff_converged"]


class Conformer(NamedTuple):
    """Heavy atoms in the order of the molecule given, then hydrogens."""

    numbers: NDArray[np.uint8]  # [N]
    positions: NDArray[np.float32]  # [N, 3] Å
    rung: str  # which step of the ladder gave it: etkdg | random_coordinates


def embed(mol: Chem.Mol, seed: int = 0, optimise: Optimise = "none") -> Conformer:
    """ETKDGv3 with a few iterations, then random coordinates: more retries of the first are waste (99.7 % of its
    rejections are of the starting coordinates), a switch is right.

    The *canonical* molecule is embedded, seeded by its SMILES, and mapped back to the atom order of `mol`.

    Raises:
        ChemError: no rung gave a conformer.
    """
    text, order = canonical_order(mol)
    ordered = parse(text)
    if ordered.GetNumAtoms() != mol.GetNumAtoms():  # explicit hydrogens that parsing folds away
        ordered, order = Chem.Mol(mol), list(range(mol.GetNumAtoms()))
    full = Chem.AddHs(ordered)
    rung = _ladder(full, _seed(text, seed))
    if optimise != "none":
        _relax(full, 200 if optimise == "mmff" else 5000)
    heavy = ordered.GetNumAtoms()
    to_given = np.empty(full.GetNumAtoms(), dtype=np.int64)
    to_given[np.asarray(order)] = np.arange(heavy)
    to_given[heavy:] = np.arange(heavy, full.GetNumAtoms())
    numbers = np.array([a.GetAtomicNum() for a in full.GetAtoms()], dtype=np.uint8)
    positions = full.GetConformer().GetPositions().astype(np.float32)
    return Conformer(numbers[to_given], positions[to_given], rung)


def _seed(text: str, seed: int) -> int:
    digest = hashlib.blake2b(f"{seed}|{text}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "little") & 0x7FFFFFFF


def _ladder(full: Chem.Mol, seed: int) -> str:
    for rung in ("etkdg", "random_coordinates"):
        parameters = dg.ETKDGv3()
        parameters.randomSeed = seed
        parameters.maxIterations = 10
        parameters.numThreads = 1
        parameters.useRandomCoords = rung == "random_coordinates"
        if dg.EmbedMolecule(full, parameters) == 0:
            return rung
    raise ChemError("no conformer: ETKDG and random coordinates both failed")


def _relax(full: Chem.Mol, iterations: int) -> None:
    if not AllChem.MMFFHasAllMoleculeParams(full):
        raise ChemError("MMFF has no parameters for this molecule")
    AllChem.MMFFOptimizeMolecule(full, maxIters=iterations)

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

MAX_HEAVY = 256  # by default; an attempt grows as atoms^2.8: 2 s at 128 heavy atoms, 17 s at 250, a minute at 460
_LARGE = 128  # heavy atoms; above, an attempt costs seconds
_ATTEMPTS, _ATTEMPTS_LARGE = 10, 3


class Conformer(NamedTuple):
    """Heavy atoms in the order of the molecule given, then hydrogens."""

    numbers: NDArray[np.uint8]  # [N]
    positions: NDArray[np.float32]  # [N, 3] Å
    rung: str  # which step of the ladder gave it: etkdg | random_coordinates


def embed(mol: Chem.Mol, seed: int = 0, optimise: Optimise = "none", max_heavy: int = MAX_HEAVY) -> Conformer:
    """ETKDGv3 with a few iterations, then random coordinates: more retries of the first are waste (99.7 % of its
    rejections are of the starting coordinates), a switch is right.

    The *canonical* molecule is embedded, seeded by its SMILES, and mapped back to the atom order of `mol`. What ends a
    rung is the number of its attempts, never a clock: the result is the same on a slow or busy machine.

    Raises:
        ChemError: more than `max_heavy` heavy atoms, no rung gave a conformer, or no parameters to relax it with.
    """
    heavy_atoms = sum(a.GetAtomicNum() > 1 for a in mol.GetAtoms())
    if heavy_atoms > max_heavy:
        raise ChemError(f"{heavy_atoms} heavy atoms; coordinates are embedded up to {max_heavy} (max_embedded)")
    text, order = canonical_order(mol)
    ordered = parse(text)
    if ordered.GetNumAtoms() != mol.GetNumAtoms():  # explicit hydrogens that parsing folds away
        ordered, order = Chem.Mol(mol), list(range(mol.GetNumAtoms()))
    full = Chem.AddHs(ordered)
    rung = _ladder(full, _seed(text, seed), _ATTEMPTS if heavy_atoms <= _LARGE else _ATTEMPTS_LARGE)
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


def _ladder(full: Chem.Mol, seed: int, attempts: int) -> str:
    for rung in ("etkdg", "random_coordinates"):
        parameters = dg.ETKDGv3()
        parameters.randomSeed = seed
        parameters.maxIterations = attempts
        parameters.numThreads = 1
        parameters.useRandomCoords = rung == "random_coordinates"
        if dg.EmbedMolecule(full, parameters) == 0:
            return rung
    raise ChemError("no conformer: ETKDG and random coordinates both failed")


def _relax(full: Chem.Mol, iterations: int) -> None:
    if not AllChem.MMFFHasAllMoleculeParams(full):
        raise ChemError("MMFF has no parameters for this molecule")
    AllChem.MMFFOptimizeMolecule(full, maxIters=iterations)

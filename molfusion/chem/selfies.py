"""SELFIES (Krenn et al. 2020): a molecule as a row of tokens, in which valence is built in.

Any row of tokens decodes to atoms within their number of bonds. RDKit then refuses a few with exotic elements.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from typing import Literal, NamedTuple

import numpy as np
import selfies
from numpy.typing import NDArray
from rdkit import Chem

from molfusion.chem.parse import ChemError, canonical

# How many bonds an atom may have, by the presets of the package `selfies`: `default` gives P 5, S 6 and halogens 1,
# `octet_rule` P 3 and S 2, `hypervalent` N 5 and Cl, Br, I 7; charges change them by one, other elements have 8.
Constraints = Literal["default", "octet_rule", "hypervalent"]


class Spelling(NamedTuple):
    """A molecule's SELFIES."""

    tokens: list[str]
    order: list[int]  # for the k-th atom of the string, its index in the molecule


def spell(mol: Chem.Mol, constraints: Constraints = "default", strict: bool = True) -> Spelling:
    """The SELFIES of the canonical kekulised SMILES: one string a molecule, however it was written.

    Args:
        mol: the molecule.
        constraints: the most bonds of each element.
        strict: refuse what the SELFIES would not give back: an atom with more bonds than that, and whatever else
            differs when it is decoded. Otherwise the string may stand for another molecule.

    Raises:
        ChemError: SELFIES has no such atom or bond, or (strict) gives another molecule.
    """
    try:
        smiles = str(Chem.MolToSmiles(mol, kekuleSmiles=True))
    except Chem.KekulizeException as error:
        raise ChemError(f"no Kekulé structure: {error}") from error
    order = mol.GetPropsAsDict(includePrivate=True, includeComputed=True)["_smilesAtomOutputOrder"]
    with _constrained(constraints):
        try:
            text = selfies.encoder(smiles, strict=strict)
        except selfies.EncoderError as error:
            raise ChemError(f"no SELFIES: {_line(error)}") from error
    tokens = list(selfies.split_selfies(text))
    if strict and (found := read(tokens, constraints)) != (expected := canonical(mol)):
        raise ChemError(f"its SELFIES stands for another molecule, {found}, not {expected}")
    return Spelling(tokens, [int(i) for i in order])


def read(tokens: Sequence[str], constraints: Constraints = "default") -> str | None:
    """The canonical SMILES of a row of tokens; None where it names an atom there is not, or is empty."""
    with _constrained(constraints):
        try:
            mol = Chem.MolFromSmiles(selfies.decoder("".join(tokens)))
        except selfies.DecoderError:
            return None
    return canonical(mol) if mol is not None and mol.GetNumAtoms() else None


def atom_tokens(tokens: Sequence[str]) -> NDArray[np.int64]:
    """The index of the token of each atom, in the string's order; branches, rings and their lengths have none.

    Fragments are read one by one: the package's attributions do not count the dots between them.
    """
    found: list[int] = []
    start = 0
    for fragment in "".join(tokens).split("."):
        # Its last attribution is the token of the atom; a bond symbol before the atom names the same one.
        _, places = selfies.decoder(fragment, attribute=True)
        found += dict.fromkeys(start + place.attribution[-1].index for place in places if place.attribution)
        start += selfies.len_selfies(fragment) + 1
    return np.array(found, dtype=np.int64)


def alphabet(constraints: Constraints = "default") -> list[str]:
    """The vocabulary there is without any data: what structure and common atoms are written with.

    Only tokens that stand for an atom under `constraints`. The order is fixed: checkpoints number tokens by it.
    """
    with _constrained(constraints):
        return [token for token in _written() if _decodes(token)]


def _decodes(token: str) -> bool:
    try:
        selfies.decoder(token)
    except selfies.DecoderError:  # more hydrogens than the atom can bind
        return False
    return True


def _written() -> list[str]:
    bonds, charges = ("", "=", "#", "/", "\\"), ("", "-1", "+1")
    stereo = [a + b for a, b in product("-/\\", repeat=2) if a + b != "--"]
    table = Chem.GetPeriodicTable()
    tokens = [".", *(f"[{b}Branch{n}]" for n in (1, 2, 3) for b in bonds[:3])]
    tokens += [f"[{b}Ring{n}]" for n in (1, 2, 3) for b in (*bonds[:3], *stereo)]
    for element in ("C", "N", "O", "F", "P", "S", "Cl", "Br", "I", "B", "Si", "As", "Se"):
        hydrogens = ("", "H0", "H1", "H2", "H3", "H4")
        tokens += [f"[{b}{element}{h}{q}]" for b, h, q in product(bonds, hydrogens, charges)]
    for element in ("C", "N", "P", "S", "Si"):
        centres = product(bonds, ("@", "@@"), ("", "H1"), ("", "+1"))
        tokens += [f"[{b}{element}{tag}{h}{q}]" for b, tag, h, q in centres]
    for z in range(1, 97):
        ions = product(bonds[:2], (*charges, "-2", "+2", "+3", "+4"))
        tokens += [f"[{b}{table.GetElementSymbol(z)}{q}]" for b, q in ions]
    labels = ("2H", "3H", "11C", "13C", "14C", "15N", "18O", "18F", "32P", "35S", "123I", "125I", "131I")
    tokens += [f"[{b}{label}{h}]" for b, label, h in product(bonds[:2], labels, ("", "H1", "H2", "H3"))]
    return list(dict.fromkeys(tokens))


@contextmanager
def _constrained(name: Constraints) -> Iterator[None]:
    """The package keeps its constraints in a global: set them, and leave them as they were."""
    wanted, before = selfies.get_preset_constraints(name), selfies.get_semantic_constraints()
    if wanted == before:
        yield
        return
    selfies.set_semantic_constraints(wanted)
    try:
        yield
    finally:
        selfies.set_semantic_constraints(before)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())

"""E3FP (Axen et al. 2017): what surrounds each atom in space, as one hash for each atom and radius.

Our own arrays over all atoms of many molecules at once; identical to the package `e3fp` to the last bit, which the
tests hold it to. Level L of atom i hashes its level L - 1 identifier and, of each atom within L · radius, the bond to i
(5: none), that atom's level L - 1 identifier and which of nine sectors around i it lies in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

import mmh3
import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from molfusion.chem.e3fp_sectors import sectors, unit
from molfusion.chem.parse import ChemError

ABSENT = np.iinfo(np.int64).min  # no such shell: a hydrogen, or a level that adds nothing
_LAST = np.iinfo(np.int64).max  # sorts behind every key
_BOND = {"SINGLE": 1, "DOUBLE": 2, "TRIPLE": 3, "AROMATIC": 4}
_UNBONDED = 5
_WEIGHT = Chem.GetPeriodicTable().GetAtomicWeight

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Settings:
    """Defaults are those of DeepMoLM; the package's own are level 5, `daylight`, without floating atoms."""

    level: int = 3
    radius: float = 1.718  # Å a level
    stereo: bool = True
    invariants: Literal["rdkit", "daylight"] = "rdkit"
    floating: bool = True  # atoms without bonds (ions) have shells


class Shells(NamedTuple):
    """All shells of one molecule."""

    identifiers: Ints  # [N, level + 1] signed 32-bit, ABSENT = none
    duplicate: Bools  # [N, level + 1] a shell over the same set of atoms came before
    members: Bools  # [N, level + 1, N] atoms of each shell


class _Atoms(NamedTuple):
    which: Ints  # [n] the atoms that have shells
    identifiers: Ints  # [n] level 0
    bonds: Ints  # [n, n] 1 … 5


def shells(mols: Sequence[Chem.Mol], positions: Sequence[Floats], settings: Settings) -> list[Shells]:
    """The shells of each molecule; molecules of similar size are fastest together.

    Args:
        mols: without hydrogens to speak of (they have no shells).
        positions: [N, 3] Å for each, in its atom order.
        settings: what to compute.

    Raises:
        ChemError: a molecule without atoms to describe, or with a bond that is none of the four kinds.
    """
    atoms = [_read(mol, settings) for mol in mols]
    sizes = np.array([len(a.which) for a in atoms])
    b, n, levels = len(mols), int(sizes.max()), settings.level + 1
    x, bonds = np.zeros((b, n, 3)), np.full((b, n, n), _UNBONDED, dtype=np.int64)
    found = np.full((b, levels, n), ABSENT, dtype=np.int64)
    for k, (a, given) in enumerate(zip(atoms, positions, strict=True)):
        x[k, : sizes[k]] = np.asarray(given, dtype=np.float64)[a.which]
        found[k, 0, : sizes[k]] = a.identifiers
        bonds[k, : sizes[k], : sizes[k]] = a.bonds
    live = np.arange(n) < sizes[:, None]
    itself = np.eye(n, dtype=bool) & live[:, :, None]
    away = x[:, None] - x[:, :, None]  # [b, i, j] from i to j
    square = away * away
    distance = np.sqrt(square[..., 0] + square[..., 1] + square[..., 2])
    distance[~(live[:, :, None] & live[:, None]) | itself] = np.inf
    towards = unit(away)

    members = np.zeros((b, levels, n, n), dtype=bool)
    members[:, 0] = itself
    duplicate = np.zeros((b, levels, n), dtype=bool)
    seen = [set(_sets(itself[k, :size])) for k, size in enumerate(sizes)]
    active = np.arange(b)
    for level in range(1, levels):
        before = members[active, level - 1]
        whole = (before.sum(2) == sizes[active, None]) | ~live[active]
        active, before = active[~whole.all(1)], before[~whole.all(1)]
        near = distance[active] <= level * settings.radius
        grown = (near.astype(np.float32) @ before.astype(np.float32) > 0) | itself[active]
        sets = [_sets(grown[q, : sizes[k]]) for q, k in enumerate(active)]
        adds = np.array([not seen[k].issuperset(sets[q]) for q, k in enumerate(active)], dtype=bool)
        active, near, grown = active[adds], near[adds], grown[adds]
        if not len(active):
            break
        here = _Level(level, active, live[active], near, found[active, level - 1], bonds[active])
        found[here.molecule, level, here.centre] = _identifiers(here, away, towards, settings.stereo)
        members[active, level] = grown
        for k, keys in zip(active, (s for s, kept in zip(sets, adds, strict=True) if kept), strict=True):
            for i in np.argsort(found[k, level, : sizes[k]], kind="stable").tolist():  # the order of acceptance
                duplicate[k, level, i] = keys[i] in seen[k]
                seen[k].add(keys[i])
    return [
        _spread(a, mol.GetNumAtoms(), found[k, :, : len(a.which)], duplicate[k, :, : len(a.which)], members[k, :, : len(a.which)])
        for k, (a, mol) in enumerate(zip(atoms, mols, strict=True))
    ]


def fold(identifiers: Ints, bits: int) -> Ints:
    """Identifiers as places in a fingerprint of `bits`; -1 where there is no shell."""
    return np.where(identifiers == ABSENT, -1, identifiers % 2**32 % bits)


def merge(found: Shells, bits: int) -> Ints:
    """Identifiers as 3D-MolT5 has them: a duplicate shell goes by the name under which its atoms are in the fingerprint.

    A shell whose place is not set in the fingerprint (of the shells that are no duplicates) takes the identifier of the
    first other shell, by level then atom, that has the same atoms and whose place is set.
    """
    real = found.identifiers != ABSENT
    place = fold(found.identifiers, bits)
    shown = np.isin(place, place[real & ~found.duplicate])
    merged = found.identifiers.copy()
    for i, level in np.argwhere(real & ~shown):
        same = shown & real & (found.members == found.members[i, level]).all(-1)
        first = np.argwhere(same.T)
        if len(first):
            merged[i, level] = found.identifiers[first[0, 1], first[0, 0]]
    return merged


class _Level:
    """The shells of one level, a row each, and their neighbours, sorted by (bond, identifier)."""

    def __init__(self, level: int, active: Ints, live: Bools, near: Bools, previous: Ints, bonds: Ints) -> None:
        row, self.centre = np.nonzero(live)
        self.level, self.molecule = level, active[row]
        self.own = previous[row, self.centre]
        # One integer that sorts like the pair (bond, signed identifier).
        key = np.where(near, (bonds << 33) + (previous[:, None] + (1 << 31)), _LAST)[row, self.centre]
        self.count = near.sum(2)[row, self.centre]  # [R]
        k = int(self.count.max())
        self.neighbour = np.argsort(key, axis=1, kind="stable")[:, :k]
        self.key = key[np.arange(len(key))[:, None], self.neighbour]  # [R, K], _LAST = none


def _identifiers(here: _Level, away: Floats, towards: Floats, stereo: bool) -> Ints:
    """[R] hashes of (level, own identifier, then bond, identifier and sector of each neighbour, sorted)."""
    width = 3 if stereo else 2
    rows, k = here.key.shape
    record = np.empty((rows, 2 + width * k), dtype=np.int64)
    record[:, 0], record[:, 1] = here.level, here.own
    key = here.key
    if stereo and k:
        place = here.molecule[:, None], here.centre[:, None], here.neighbour
        sector = sectors(key, here.count, away[place], towards[place])
        key = np.where(key == _LAST, _LAST, (key << 4) + (sector + 8))
        key.sort(axis=1)
        record[:, 4::3] = (key & 15) - 8
        key >>= 4
    record[:, 2::width] = key >> 33
    record[:, 3::width] = (key & ((1 << 33) - 1)) - (1 << 31)
    raw, stride = memoryview(record.data).cast("B"), record.strides[0]
    ends = (8 * (2 + width * here.count)).tolist()
    digest = mmh3.mmh3_32_sintdigest
    return np.array([digest(raw[r * stride : r * stride + end]) for r, end in enumerate(ends)], dtype=np.int64)


def _read(mol: Chem.Mol, settings: Settings) -> _Atoms:
    # Asking by index is three times as fast as iterating over RDKit's sequences.
    every = [mol.GetAtomWithIdx(i) for i in range(mol.GetNumAtoms())]
    chosen = [a for a in every if a.GetAtomicNum() > 1]
    if not settings.floating and len(chosen) > 1:
        chosen = [a for a in chosen if a.GetDegree() > 0]
    if not chosen:
        raise ChemError("E3FP describes no atom of it (there are only hydrogens, or only atoms without bonds)")
    invariants = _daylight if settings.invariants == "daylight" else _rdkit
    index = [a.GetIdx() for a in chosen]
    place = {atom: i for i, atom in enumerate(index)}
    bonds = np.full((len(index), len(index)), _UNBONDED, dtype=np.int64)
    for bond in map(mol.GetBondWithIdx, range(mol.GetNumBonds())):
        i, j = place.get(bond.GetBeginAtomIdx()), place.get(bond.GetEndAtomIdx())
        if i is None or j is None:
            continue
        kind = bond.GetBondType().name
        if kind not in _BOND:
            raise ChemError(f"E3FP knows single, double, triple and aromatic bonds, not {kind}")
        bonds[i, j] = bonds[j, i] = _BOND[kind]
    return _Atoms(np.array(index), np.array([_hash(invariants(a)) for a in chosen], dtype=np.int64), bonds)


def _rdkit(a: Chem.Atom) -> tuple[int, ...]:
    z = a.GetAtomicNum()
    # The mass difference is cut to whole units: carbon-13 is carbon.
    excess = int(a.GetMass() - _WEIGHT(z)) if a.GetIsotope() else 0
    return z, a.GetTotalDegree(), a.GetTotalNumHs(), a.GetFormalCharge(), excess, a.IsInRing()


def _daylight(a: Chem.Atom) -> tuple[int, ...]:
    z, h = a.GetAtomicNum(), a.GetTotalNumHs()
    return a.GetTotalDegree() - h, a.GetTotalValence() - h, z, int(a.GetMass()), a.GetFormalCharge(), h, a.IsInRing()


@lru_cache(maxsize=4096)
def _hash(values: tuple[int, ...]) -> int:
    return mmh3.hash(np.array(values, dtype="<i8").tobytes(), 0)


def _sets(rows: Bools) -> list[bytes]:
    """Each row's set of atoms as something that can be compared."""
    packed = np.packbits(rows, axis=1)
    raw, width = packed.tobytes(), packed.shape[1]
    return [raw[i : i + width] for i in range(0, len(raw), width)]


def _spread(atoms: _Atoms, n: int, identifiers: Ints, duplicate: Bools, members: Bools) -> Shells:
    """From the atoms that have shells to all n of the molecule."""
    levels, used = len(identifiers), len(atoms.which)
    members = members[:, :, :used].swapaxes(0, 1)
    if used == n:
        return Shells(identifiers.T, duplicate.T, members)
    out = Shells(np.full((n, levels), ABSENT), np.zeros((n, levels), dtype=bool), np.zeros((n, levels, n), dtype=bool))
    out.identifiers[atoms.which] = identifiers.T
    out.duplicate[atoms.which] = duplicate.T
    out.members[np.ix_(atoms.which, np.arange(levels), atoms.which)] = members
    return out

"""Murcko scaffolds, and splits that keep each of them together."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence

from rdkit import Chem
from rdkit.Chem.Scaffolds import MurckoScaffold

from molfusion.chem.parse import parse


def scaffold(smiles: str) -> str:
    """Murcko scaffold without stereo, as canonical SMILES; "" for an acyclic molecule."""
    mol = parse(smiles)
    Chem.RemoveStereochemistry(mol)
    return str(MurckoScaffold.MurckoScaffoldSmiles(mol=mol, includeChirality=False))


def split_groups(groups: Sequence[str], fractions: Sequence[float], seed: int) -> list[int]:
    """For each item 0 (train), 1 (val) or 2 (test), never parting a group.

    Balanced: groups larger than half of val or test go to train; the rest is shuffled with `seed` and dealt out.
    """
    members: dict[str, list[int]] = defaultdict(list)
    for i, group in enumerate(groups):
        members[group].append(i)
    sizes = [fraction * len(groups) for fraction in fractions]
    limit = min(size for size in sizes[1:] if size > 0) / 2 if any(sizes[1:]) else 0
    ordered = sorted(members.values(), key=lambda m: m[0])
    big = [m for m in ordered if len(m) > limit]
    small = [m for m in ordered if len(m) <= limit]
    random.Random(seed).shuffle(small)
    parts: list[list[list[int]]] = [big, [], []]
    filled = [0, 0, 0]
    for indices in small:
        # Val and test first: they are the small ones, and a full train takes what is left.
        chosen = next((p for p in (1, 2) if filled[p] + len(indices) <= sizes[p] + 0.5), 0)
        parts[chosen].append(indices)
        filled[chosen] += len(indices)
    for part in (1, 2):
        if sizes[part] > 0 and not parts[part] and len(parts[0]) > 1:  # all groups were big: the smallest will do
            parts[part].append(parts[0].pop(parts[0].index(min(parts[0], key=len))))
    assigned = [0] * len(groups)
    for part, held in enumerate(parts):
        for indices in held:
            for i in indices:
                assigned[i] = part
    return assigned

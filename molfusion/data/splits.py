"""Who is in train, val and test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from molfusion.batch import Record
from molfusion.chem.parse import flat_canonical, parse
from molfusion.chem.scaffold import scaffold, split_groups
from molfusion.data.card import Card, CardError

_NAMES = ("train", "val", "test")
_ALIASES = {"valid": "val", "validation": "val", "dev": "val"}


def assign(records: Sequence[Record], card: Card) -> list[Record]:
    """The records with their split set as the card says.

    Raises:
        CardError: a split column holds a word that is no split.
    """
    spec = card.split
    if spec.by in {"scaffold", "random"}:
        parts = split_groups(_groups(records, spec.by), spec.fractions, spec.seed)
        records = [replace(r, split=_NAMES[p]) for r, p in zip(records, parts, strict=True)]
    elif spec.by == "column":
        records = [replace(r, split=_known(r.split, card)) for r in records]
    for name, fraction in spec.holdout.items():
        records = _hold_out(list(records), name, fraction, spec.seed)
    return list(records)


def _hold_out(records: list[Record], name: str, fraction: float, seed: int) -> list[Record]:
    """Move `fraction` of train, whole scaffolds at a time, to the split `name`."""
    train = [i for i, r in enumerate(records) if r.split == "train"]
    parts = split_groups(_groups([records[i] for i in train], "scaffold"), (1 - fraction, fraction, 0), seed)
    for i, part in zip(train, parts, strict=True):
        if part == 1:
            records[i] = replace(records[i], split=name)
    return records


def _groups(records: Sequence[Record], by: str) -> list[str]:
    """Records of one group never part: the same scaffold, or (`random`) the same molecular graph.

    Acyclic molecules have no scaffold to keep together: there each graph is its own group.
    """
    graphs = [flat_canonical(parse(r.canonical)) for r in records]
    if by == "random":
        return graphs
    return [scaffold(r.canonical) or g for r, g in zip(records, graphs, strict=True)]


def _known(word: str, card: Card) -> str:
    name = _ALIASES.get(word.lower(), word.lower())
    if name not in _NAMES:
        raise CardError(f"card {card.name}: column {card.split.column!r} holds {word!r}, expected train, val or test")
    return name

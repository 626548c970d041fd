"""What is audited: a card's records, and who each molecule is, computed once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, TypeVar

from molfusion.batch import Record
from molfusion.chem.identity import Identity, identify
from molfusion.chem.parse import parse
from molfusion.chem.scaffold import scaffold
from molfusion.data.card import Card
from molfusion.data.records import Dropped, load_records

Level = Literal["error", "warning", "note"]
T = TypeVar("T")
_SHOWN = 5


@dataclass(frozen=True)
class Finding:
    """One thing an audit found: `error` (do not use it so), `warning` (know it), `note`."""

    level: Level
    message: str
    examples: tuple[str, ...] = ()


def finding(level: Level, message: str, examples: Sequence[str] = ()) -> Finding:
    """With the first few examples."""
    return Finding(level, message, tuple(examples[:_SHOWN]))


@dataclass
class Subject:
    """A card with its records in file order, their splits set."""

    card: Card
    records: list[Record]
    dropped: list[Dropped]

    @classmethod
    def of(cls, card: Card, cache: Path) -> Subject:
        loaded = load_records(card, cache)
        return cls(card, loaded.records, loaded.dropped)

    @cached_property
    def keys(self) -> list[str]:
        """InChIKey of each record: with stereo, but one for all tautomers and places of a charge that InChI unites."""
        return [i.key for i in self._identities]

    @cached_property
    def graphs(self) -> list[str]:
        """Canonical SMILES without stereo of each record."""
        return [i.graph for i in self._identities]

    @cached_property
    def elements(self) -> list[frozenset[str]]:
        """Symbols of the elements of each record's molecule."""
        return [i.elements for i in self._identities]

    @cached_property
    def scaffolds(self) -> list[str]:
        """Murcko scaffold of each record; "" for an acyclic one."""
        return self._each(scaffold)

    @cached_property
    def _identities(self) -> list[Identity]:
        return self._each(lambda smiles: identify(parse(smiles)))

    def of_split(self, split: str) -> list[int]:
        return [i for i, record in enumerate(self.records) if record.split == split]

    def _each(self, function: Callable[[str], T]) -> list[T]:
        """Of the canonical SMILES, so that conformers of one molecule cost once."""
        known: dict[str, T] = {}
        for record in self.records:
            if record.canonical not in known:
                known[record.canonical] = function(record.canonical)
        return [known[r.canonical] for r in self.records]


def same(values: Sequence[str], among: Sequence[int] | None = None) -> list[list[int]]:
    """Indices that share a value, in groups of two and more; the empty value groups nothing."""
    groups: dict[str, list[int]] = defaultdict(list)
    for i in range(len(values)) if among is None else among:
        if values[i]:
            groups[values[i]].append(i)
    return [group for group in groups.values() if len(group) > 1]


def share(count: int, total: int) -> str:
    """`12 of 300 (4.0 %)`."""
    return f"{count:,} of {total:,} ({100 * count / max(total, 1):.1f} %)"

"""Which records of a split take part, and how much of their captions: settings of an experiment, not of a data set."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from rdkit import Chem

from molfusion.batch import Record
from molfusion.chem.parse import parse
from molfusion.data.files import CardError

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Part:
    """Limits by split; a split without one keeps all.

    Args:
        atoms: fewest and most heavy atoms of a molecule.
        told: kinds or tags of facts that captions keep, and tasks of questions to keep.
        contains: SMARTS that a molecule must match, such as [#16] for sulfur.
        lacks: SMARTS that it must not match.

    Raises:
        CardError: a split that does not exist, not two numbers in order, or not SMARTS.
    """

    atoms: Mapping[str, Sequence[int]] = field(default_factory=dict)
    told: Mapping[str, Sequence[str]] = field(default_factory=dict)
    contains: Mapping[str, str] = field(default_factory=dict)
    lacks: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        parts: dict[str, Mapping[str, object]] = {
            "atoms": self.atoms, "told": self.told, "contains": self.contains, "lacks": self.lacks,
        }  # fmt: skip
        for name, given in parts.items():
            if unknown := sorted(set(given) - set(SPLITS)):
                raise CardError(f"{name}: there is no split {unknown[0]!r}; there are {', '.join(SPLITS)}")
        for split, limits in self.atoms.items():
            if len(limits) != 2 or not 0 <= limits[0] <= limits[1]:
                raise CardError(f"atoms.{split} is {list(limits)}: expected the fewest and the most heavy atoms, as [30, 50]")
        for name in ("contains", "lacks"):
            for split, smarts in parts[name].items():
                if Chem.MolFromSmarts(smarts) is None:
                    raise CardError(f"{name}.{split} is {smarts!r}: expected SMARTS, as '[#16]' for sulfur")

    def of(self, record: Record) -> Record | str:
        """The record, perhaps with less of its text, or why it does not take part."""
        limits, kinds = self.atoms.get(record.split), self.told.get(record.split)
        if limits is not None and not limits[0] <= (n := _heavy(record.smiles)) <= limits[1]:
            return f"{n} heavy atoms, {record.split} keeps {limits[0]} to {limits[1]}"
        if (asked := self.contains.get(record.split)) is not None and not _matches(record.smiles, asked):
            return f"without {asked}, which {record.split} asks for"
        if (barred := self.lacks.get(record.split)) is not None and _matches(record.smiles, barred):
            return f"with {barred}, which {record.split} leaves out"
        if kinds is None or record.task in kinds:
            return record
        facts = tuple(f for f in record.facts if f.kind in kinds or f.tag in kinds)
        if not facts:
            return f"nothing told of {', '.join(kinds)}"
        return replace(record, facts=facts, text=" ".join(f.text for f in facts))


@functools.lru_cache(maxsize=1 << 16)
def _heavy(smiles: str) -> int:
    return int(parse(smiles).GetNumHeavyAtoms())


@functools.lru_cache(maxsize=1 << 16)
def _matches(smiles: str, smarts: str) -> bool:
    return bool(parse(smiles).HasSubstructMatch(_pattern(smarts)))


@functools.lru_cache(maxsize=256)
def _pattern(smarts: str) -> Chem.Mol:
    return Chem.MolFromSmarts(smarts)

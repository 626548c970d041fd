"""What retrieval is scored on besides whole captions and all molecules: one kind of fact, or molecules that hardly differ."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from rdkit.Chem.rdMolDescriptors import CalcMolFormula

from molfusion.batch import Record
from molfusion.chem.parse import flat_canonical, parse
from molfusion.chem.scaffold import scaffold
from molfusion.data.card import CardError


def _moved(smiles: str) -> str:
    core = scaffold(smiles)
    return f"{core} {CalcMolFormula(parse(smiles))}" if core else ""


# What the molecules of one pool share; "" belongs to none.
NEAR: dict[str, Callable[[str], str]] = {
    "isomers": lambda smiles: str(CalcMolFormula(parse(smiles))),  # a formula
    "scaffold": scaffold,  # a Murcko scaffold: other substituents
    "moved": _moved,  # a scaffold and a formula: the same substituents elsewhere
    "stereo": lambda smiles: str(flat_canonical(parse(smiles))),  # a graph: epimers, mirror images, E and Z
}


@dataclass(frozen=True)
class Scopes:
    """Records once more, under other texts or among fewer molecules.

    Args:
        told: of a card: tag of the facts that a text is cut to -> kind of the record's pools, "" for all molecules.
        near: of an experiment: pools (keys of `NEAR`) that molecules form among themselves, whole texts, no molecule twice.

    Raises:
        CardError: pools that nobody knows.
    """

    told: Mapping[str, str] = field(default_factory=dict)
    near: Sequence[str] = ()

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.near) - set(NEAR)):
            raise CardError(f"near: there are no pools {unknown[0]!r}; there are {', '.join(NEAR)}")

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.told, *self.near)

    def of(self, records: Sequence[Record], name: str) -> list[Record]:
        """Those records that have a place under a scope, as they stand there."""
        if name in self.told:
            return [s for r in records if (s := _cut(r, name, self.told[name])) is not None]
        first: dict[str, Record] = {}  # of several conformers one
        for record in records:
            first.setdefault(record.canonical, record)
        pooled = [replace(r, scope=name, pool=_shared(name, r.canonical)) for r in first.values()]
        return [r for r in pooled if r.pool]


@functools.lru_cache(maxsize=1 << 16)
def _shared(kind: str, smiles: str) -> str:
    return NEAR[kind](smiles)


def _cut(record: Record, tag: str, pool_kind: str) -> Record | None:
    """The record with its text cut to the facts of one tag, or None where it has none (or no such pool)."""
    text = " ".join(fact.text for fact in record.facts if fact.tag == tag)
    pool = dict(record.pools).get(pool_kind, "")
    if not text or (pool_kind and not pool):
        return None
    return replace(record, text=text, scope=tag, pool=pool)

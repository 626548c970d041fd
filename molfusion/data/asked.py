"""Molecules that a trained model is asked about, whoever they are: no splits, no answers, nobody lost."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from molfusion.batch import MoleculeBatch, Record
from molfusion.chem.parse import ChemError, canonical, parse, unescape
from molfusion.data.datamodule import MoleculeData
from molfusion.data.records import Dropped, Records, load_rows
from molfusion.data.store import ViewStore
from molfusion.errors import MolfusionError
from molfusion.views.base import View, ViewError

Edit = Callable[[Record], Record]


def read_smiles(smiles: Sequence[str]) -> Records:
    """Records `1`, `2`, … of SMILES as a user types them; those that are none are dropped with the reason."""
    records, dropped = list[Record](), list[Dropped]()
    for number, given in enumerate(smiles, 1):
        text = unescape(given) if isinstance(given, str) else ""
        try:
            if not isinstance(given, str):
                raise ChemError(f"a SMILES is text; this is {type(given).__name__}")
            records.append(Record(str(number), text, canonical(parse(text)), split="test"))
        except ChemError as error:
            dropped.append(Dropped(str(number), text, str(error)))
    return Records(records, dropped)


class Asked(MoleculeData):
    """A card's molecules, or SMILES, in their order, under the views of a model; who lacks one is set apart with the reason.

    Args:
        card: as of `MoleculeData`; of SMILES it plays no part.
        views: what the model reads.
        smiles: instead of a card.
        edit: changes each record before it is looked at, such as its question.
        unfit: says of a record why it cannot be asked about, "" if it can.
        settings: of `MoleculeData`.
    """

    def __init__(
        self,
        card: str,
        views: Iterable[View],
        smiles: Sequence[str] | None = None,
        edit: Edit | None = None,
        unfit: Callable[[Record], str] | None = None,
        **settings: Any,
    ) -> None:
        super().__init__("demo" if smiles is not None else card, frozenset(views), **settings)
        self.smiles, self.edit, self.unfit = smiles, edit, unfit
        self.asked: list[Record] = []

    def load(self) -> Records:
        found = super().load() if self.smiles is None else read_smiles(self.smiles)
        return found if self.edit is None else Records([self.edit(r) for r in found.records], found.dropped)

    def setup(self, stage: str | None = None) -> None:
        """Featurise what is missing, open the store, and tell who can be asked about (`asked`) from who cannot (`dropped`)."""
        if self.asked or self.dropped:
            return
        self.prepare_data()
        self._stores = {view: ViewStore(self.cache / "store", view) for view in self.population}
        loaded = self.load()
        self.dropped = list(loaded.dropped)
        for record in map(self._select_targets, loaded.records):
            why = self._lacking(record) or self._unreadable(record)
            if why := why or (self.unfit(record) if self.unfit is not None else ""):
                self.dropped.append(Dropped(record.id, record.smiles, why))
            else:
                self.asked.append(record)
        numbered = None if self.smiles is None else {str(n): n for n in range(1, len(self.smiles) + 1)}
        self._rows = load_rows(self.card, self.cache) if numbered is None else numbered

    def _unreadable(self, record: Record) -> str:
        """Why a view that is made with the batch cannot be made, such as a prompt that is too long."""
        for view in self.views:
            if not view.stored:
                try:
                    view.featurise(record)
                except (ViewError, MolfusionError) as error:
                    return str(error)
        return ""

    def batches(self, records: Sequence[Record] | None = None) -> Iterator[MoleculeBatch]:
        """Of those asked about, or of some of them with other texts."""
        chosen = self.asked if records is None else list(records)
        return iter(self._loader(chosen, shuffle=False)) if chosen else iter(())

    def alone(self, record: Record) -> MoleculeBatch:
        """A batch of one."""
        (batch,) = self.batches([record])
        return batch

    def in_order(self, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Rows as the molecules were given, each with its `row`: which of the file it is (or of the list), from 1."""
        places = {key: place for place, key in enumerate(self._rows)}
        return [
            {"id": row["id"], "row": self._rows[row["id"]], **row} for row in sorted(rows, key=lambda row: places[row["id"]])
        ]


def with_text(text: str) -> Edit:
    """An `edit` that holds the same text right for every molecule."""
    return lambda record: dataclasses.replace(record, text=text)


def with_question(question: str) -> Edit:
    """An `edit` that asks the same of every molecule."""
    return lambda record: dataclasses.replace(record, prompt=question)

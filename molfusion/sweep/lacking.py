"""Which runs a card cannot answer: those that need texts or numbers that it does not have."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

from molfusion.data.card import Card, load_card
from molfusion.data.datamodule import MoleculeData
from molfusion.data.files import CardError
from molfusion.sweep.plan import Cell
from molfusion.tasks.base import Task
from molfusion.tasks.generation import Generation
from molfusion.tasks.needs import Needs, lacking

_WITH_COLUMNS = {"table", "cxsmiles", "sdf"}  # formats in which a text is a column that the card names
_WITHOUT_TEXTS = {"smiles"}


def lacks(needs: Needs, task: type[Task], data: MoleculeData) -> str:
    """Why the data have no answer for a task, their file read if need be; "" if they do."""
    texts = needs != "texts" or (_names_texts(data.card) and _holds_texts(data))
    return lacking(needs, task.__name__, data.card.name, texts, bool(data.targets))


def told_by_cards(cells: Sequence[Cell]) -> dict[str, str]:
    """By key of a cell why its card has no answer, or that of a run that it needs: as far as the card says, nothing is read."""
    told: dict[str, str] = {}
    for cell in cells:
        refused = [needed for needed in cell.needs.values() if needed.key in told]
        if why := _told_by_card(cell) or (f"needs {refused[0].row}, which is n/a" if refused else ""):
            told[cell.key] = why
    return told


def _told_by_card(cell: Cell) -> str:
    model, data = cell.config.tree.get("model") or {}, cell.config.tree.get("data") or {}
    module, _, name = str(model.get("class_path", "")).rpartition(".")
    task = getattr(importlib.import_module(module), name, None) if module.startswith("molfusion.") else None
    if not (isinstance(task, type) and issubclass(task, Task) and task.needs):
        return ""
    given = model.get("init_args") or {}
    if issubclass(task, Generation) and "text" in given and given["text"] is None:
        return ""
    card = load_card(str(data.get("card", "demo")), data.get("root"), data.get("targets"))
    return lacking(task.needs, name, card.name, _names_texts(card), bool(card.targets))


def _names_texts(card: Card) -> bool:
    """False only where it cannot have texts."""
    if card.format in _WITH_COLUMNS:
        return bool({"text", "facts"} & card.columns.keys())
    return card.format not in _WITHOUT_TEXTS


_known: dict[str, bool] = {}  # by digest of a card


def _holds_texts(data: MoleculeData) -> bool:
    """Whether a training molecule has one. Of a card that cannot be read, yes: whoever needs its molecules says what is wrong."""
    try:
        digest = data.card.digest()
        if digest not in _known:
            _known[digest] = any(r.text.strip() for r in data.load().records if r.split == "train")
        return _known[digest]
    except CardError:
        return True

"""Questions and answers about molecules: an Alpaca file beside a table of the molecules that it asks about."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from molfusion.data.card import Card
from molfusion.data.files import CardError

_KEYS = ("instruction", "input", "output")
_FIELDS = ("id", "smiles", "numbers", "positions", "group")


def alpaca(path: Path, card: Card) -> Iterator[dict[str, Any]]:
    """Rows of a list of `{"instruction", "input", "output"}`: prompt, molecule and text; and `task`, if there is one.

    `input` is the id of a molecule in the card's `molecules`, or a SMILES where it has none; other keys do not matter.

    Raises:
        CardError: not such a list, an empty one, or the table of molecules lacks a column.
    """
    molecules = _molecules(card)
    for number, question in enumerate(read_questions(path, card.name), 1):
        row = {"id": f"{path.name.partition('.')[0]}-{number}", "prompt": question["instruction"], "text": question["output"]}
        row["task"] = str(question.get("task") or "")
        asked = question["input"]
        if molecules is None:
            yield row | {"smiles": asked, "group": asked}
        elif asked in molecules:
            yield {"group": asked, **molecules[asked], **row}
        else:
            yield row | {"smiles": "", "error": f"no molecule {asked!r} in {card.molecules and card.molecules.path}"}


def read_questions(path: Path, name: str) -> list[dict[str, str]]:
    """The questions of one file, checked.

    Raises:
        CardError: it is no list of questions, or an empty one.
    """
    try:
        data = path.read_bytes()
        found = json.loads(gzip.decompress(data) if path.suffix == ".gz" else data)
    except (OSError, EOFError, ValueError) as error:
        raise CardError(f"card {name}: cannot read {path}: {error}") from error
    if not isinstance(found, list) or not found:
        raise CardError(f"card {name}: {path} is no list of questions, or an empty one")
    for number, question in enumerate(found, 1):
        if not isinstance(question, dict) or not all(isinstance(question.get(key), str) for key in _KEYS):
            form = ", ".join(_KEYS)
            raise CardError(f"card {name}: {path}: question {number} is not of the form {{{form}}}, all texts")
    return found


def _molecules(card: Card) -> dict[str, dict[str, Any]] | None:
    """The molecules by id; None where the card names no table of them."""
    if card.molecules is None:
        return None
    unknown = [field for field in card.columns if field not in _FIELDS]
    if unknown:
        raise CardError(f"card {card.name}: columns.{unknown[0]} is none of the molecules' {', '.join(_FIELDS)}")
    wanted = {"id": "id", "smiles": "smiles", **card.columns}
    path = card.molecules_path()
    return _read(path, path.stat().st_mtime_ns, tuple(sorted(wanted.items())), card.name)


@lru_cache(maxsize=2)  # or every file of questions would read it again
def _read(path: Path, changed: int, wanted: tuple[tuple[str, str], ...], name: str) -> dict[str, dict[str, Any]]:
    try:
        table = pq.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise CardError(f"card {name}: cannot read {path}: {error}".replace("\n", " ")) from error
    for field, column in wanted:
        if column not in table.column_names:
            has = ", ".join(table.column_names)
            raise CardError(f"card {name}: {path} has no column {column!r} (for {field}); it has: {has}")
    columns = {field: table[column].to_pylist() for field, column in wanted}
    ids = [str(key) for key in columns.pop("id")]
    return {key: {field: values[i] for field, values in columns.items()} for i, key in enumerate(ids)}

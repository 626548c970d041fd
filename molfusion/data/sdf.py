"""SD files (.sdf, .sdf.gz): one record an entry, its coordinates kept where they are 3D, its data items as columns."""

from __future__ import annotations

import difflib
import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from molfusion.chem.parse import ChemError
from molfusion.chem.sdf import properties, read_entry
from molfusion.data.card import Card
from molfusion.data.files import CardError

_FIELDS = ("id", "text", "prompt", "split", "group")


def sdf(path: Path, card: Card) -> Iterator[dict[str, Any]]:
    """Rows of one file. `columns` and `targets` name data items; `_Name` is an entry's first line.

    An entry that is no molecule becomes a row with an `error`, and the next one is read.

    Raises:
        CardError: an unreadable file, no entries, or a data item that no entry has.
    """
    wanted = _columns(card)
    targets = [t.column for t in card.targets]
    names: set[str] = set()
    count = 0
    for count, (line, block) in enumerate(_entries(path, card), 1):
        items = properties(block)
        names |= items.keys()
        row: dict[str, Any] = {field: items.get(column, "") for field, column in wanted.items()}
        row["targets"] = [_number(items.get(t, "")) for t in targets]
        try:
            entry = read_entry(block)
        except ChemError as error:
            yield row | {"error": f"entry {count} (line {line}): {error}"}
            continue
        row["smiles"] = entry.smiles
        if entry.numbers is not None and entry.positions is not None:
            row |= {"numbers": entry.numbers.tolist(), "positions": entry.positions.ravel().tolist()}
        yield row
    if not count:
        raise CardError(f"card {card.name}: {path} has no entries")
    for column in [*wanted.values(), *targets]:
        if column not in names:
            near = difflib.get_close_matches(column, names, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"they have: {', '.join(sorted(names))}"
            raise CardError(f"card {card.name}: no entry of {path} has a data item {column!r}; {hint}")


def data_items(path: Path, card: Card) -> dict[str, list[str]]:
    """Every data item that an entry has, with its values; "" where an entry lacks it."""
    entries = [properties(block) for _, block in _entries(path, card)]
    names = dict.fromkeys(name for items in entries for name in items)
    return {name: [items.get(name, "") for items in entries] for name in names}


def _columns(card: Card) -> dict[str, str]:
    for field in card.columns:
        if field not in _FIELDS:
            raise CardError(
                f"card {card.name}: columns.{field} cannot be set for an SD file: its molecules are its structures; "
                f"data items may be: {', '.join(_FIELDS)}"
            )
    wanted = dict(card.columns)
    if card.split.by == "column" and card.split.column:
        wanted["split"] = card.split.column
    return wanted


def _entries(path: Path, card: Card) -> Iterator[tuple[int, str]]:
    """(first line, text) of each entry; what follows the last `$$$$` counts if it is not blank."""
    first = 1
    lines: list[str] = []
    try:
        with gzip.open(path, "rt", errors="replace") if path.suffix == ".gz" else path.open(errors="replace") as file:
            for number, line in enumerate(file, 1):
                if line.startswith("$$$$"):
                    yield first, "".join(lines)
                    first, lines = number + 1, []
                else:
                    lines.append(line)
    except (OSError, EOFError) as error:
        raise CardError(f"card {card.name}: cannot read {path}: {error}") from error
    if "".join(lines).strip():
        yield first, "".join(lines)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")

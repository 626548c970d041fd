"""Bytes to rows: one function a format. A row is a plain dict under the card's own vocabulary:
id, smiles, text, prompt, split, group, targets, numbers, positions, facts, pools; or `error`, why it is no molecule.
"""

from __future__ import annotations

import difflib
import gzip
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from molfusion.chem.cxsmiles import read_cxsmiles
from molfusion.chem.parse import ChemError
from molfusion.data.alpaca import alpaca
from molfusion.data.card import Card, CardError
from molfusion.data.qm9 import qm9npz, qm9pack
from molfusion.data.sdf import sdf

Row = dict[str, Any]
_TEXT_FIELDS = ("id", "smiles", "text", "prompt", "task", "split", "group")
_NESTED_FIELDS = ("numbers", "positions", "facts", "pools")


def read(path: Path, card: Card) -> Iterator[Row]:
    """All rows of one file, in order.

    Raises:
        CardError: an unknown format, a missing column, no rows, an unreadable file.
    """
    if card.format not in FORMATS:
        raise CardError(f"card {card.name}: format {card.format!r} is unknown; known: {', '.join(FORMATS)}")
    return FORMATS[card.format](path, card)


def table(path: Path, card: Card) -> Iterator[Row]:
    """Tab- or comma-separated text (.tsv .txt .csv, also .gz) and Parquet, by the file's suffix."""
    wanted = _columns(card)
    try:
        data = pa.parquet.read_table(path) if path.suffix == ".parquet" else _separated(path, card)
    except (pa.ArrowInvalid, OSError) as error:
        raise CardError(f"card {card.name}: cannot read {path}: {error}".replace("\n", " ")) from error
    for field, column in wanted.items():
        if column not in data.column_names:
            near = difflib.get_close_matches(column, data.column_names, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has: {', '.join(data.column_names)}"
            raise CardError(f"card {card.name}: {path} has no column {column!r} (for {field}); {hint}")
    if data.num_rows == 0:
        raise CardError(f"card {card.name}: {path} has a header but no rows")
    fields = {f: data[c].to_pylist() for f, c in wanted.items() if not f.startswith("target:")}
    targets = [data[c].to_pylist() for f, c in wanted.items() if f.startswith("target:")]
    for i in range(data.num_rows):
        row: Row = {field: values[i] for field, values in fields.items()}
        row["targets"] = [_number(values[i]) for values in targets]
        yield row


def cxsmiles(path: Path, card: Card) -> Iterator[Row]:
    """A table whose SMILES carry coordinates (`CO |(0,0,0;1.4,0,0)|`)."""
    for row in table(path, card):
        try:
            entry = read_cxsmiles(str(row["smiles"]))
        except ChemError as error:
            yield row | {"error": str(error)}
            continue
        row["smiles"] = entry.smiles
        if entry.numbers is not None and entry.positions is not None:
            row |= {"numbers": entry.numbers.tolist(), "positions": entry.positions.ravel().tolist()}
        yield row


def smiles(path: Path, card: Card) -> Iterator[Row]:
    """One molecule a line: SMILES, white space, and (optionally) its id; `#` starts a comment."""
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
        for number, line in enumerate(file, 1):
            parts = line.split(maxsplit=1)
            if parts and not parts[0].startswith("#"):
                yield {"smiles": parts[0], "id": parts[1].strip() if len(parts) > 1 else f"line{number}"}


FORMATS: dict[str, Callable[[Path, Card], Iterator[Row]]] = {
    "table": table,
    "cxsmiles": cxsmiles,
    "smiles": smiles,
    "sdf": sdf,
    "qm9pack": qm9pack,
    "qm9npz": qm9npz,
    "alpaca": alpaca,
}


def _columns(card: Card) -> dict[str, str]:
    """Field -> column of the file. Where the card names none, `id` counts rows and the others stay empty."""
    known = {*_TEXT_FIELDS, *_NESTED_FIELDS}
    for field in card.columns:
        if field not in known:
            near = difflib.get_close_matches(field, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(known))}"
            raise CardError(f"card {card.name}: columns.{field} is not a field of a record; {hint}")
    if "smiles" not in card.columns:
        raise CardError(f"card {card.name}: columns.smiles is missing: which column holds the SMILES?")
    wanted = dict(card.columns)
    if card.split.by == "column" and card.split.column:
        wanted["split"] = card.split.column
    return wanted | {f"target:{t.column}": t.column for t in card.targets}


def _separated(path: Path, card: Card) -> pa.Table:
    tabs = ".csv" not in path.suffixes
    numbers = {t.column: pa.string() for t in card.targets}  # as text: "", "nan" and "N/A" are all "not measured"
    texts = {card.columns[f]: pa.string() for f in _TEXT_FIELDS if f in card.columns}
    if card.split.column:
        texts[card.split.column] = pa.string()
    return pa.csv.read_csv(
        path,
        parse_options=pa.csv.ParseOptions(
            delimiter="\t" if tabs else ",", quote_char=False if tabs else '"', newlines_in_values=not tabs
        ),
        convert_options=pa.csv.ConvertOptions(column_types=texts | numbers, strings_can_be_null=False),
    )


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")

"""A plain file instead of a card: `--data.card my.csv`. What its columns hold is told by their usual names."""

from __future__ import annotations

import difflib
import functools
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from molfusion.data.card import Card, TargetSpec
from molfusion.data.files import CardError, FileSpec
from molfusion.data.sdf import data_items

# Ending -> format; each also with .gz (but Parquet, which is compressed inside).
FORMATS = {
    ".smi": "smiles", ".smiles": "smiles", ".csv": "table", ".tsv": "table", ".txt": "table", ".parquet": "table", ".sdf": "sdf",
}  # fmt: skip
# Field -> names it goes by, the likeliest first; letter case does not matter.
USUAL = {
    "smiles": ("smiles", "canonical_smiles", "isomeric_smiles", "mol_smiles"),
    "text": ("text", "description", "caption"),
    "id": ("id", "cid", "mol_id", "molecule_id", "name", "_name"),
    "split": ("split",),
}
_SPLITS = {"train", "val", "valid", "validation", "dev", "test"}


def plain_format(path: Path) -> str | None:
    """How a plain file of molecules is read, by its ending; None for another file."""
    ending = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    return FORMATS.get(ending.lower())


def card_of(path: Path, targets: Sequence[str] = ()) -> Card:
    """The card of a plain file: 80 / 10 / 10 % at random (seed 0), or as a column `split` says.

    Args:
        path: .smi, .csv, .tsv, .txt (tabs), .sdf, also .gz, or .parquet.
        targets: columns that are measured numbers; one that holds 0 and 1 only is a classification.

    Raises:
        CardError: no column of SMILES, no such target or one without numbers, an unreadable file.
    """
    kind = plain_format(path)
    assert kind is not None, path
    name = path.name.removesuffix(".gz").rpartition(".")[0]
    card = Card(name=name, title=f"the file {path.name}", licence="not stated", format=kind, folder=str(path.parent))
    card.files = {"all": FileSpec(path=path.name)}
    card.split.by = "random"
    if kind == "smiles":
        if targets:
            raise CardError(f"{path} has SMILES and names alone, no column {targets[0]!r}: a .csv can have it")
        return card
    columns = _columns(path, card)
    found = _fields(columns, path)
    if kind == "table" and "smiles" not in found:
        raise CardError(
            f"{path} has no column of SMILES by a usual name ({', '.join(USUAL['smiles'])}); it has: {', '.join(columns)}. "
            "Rename it, or write a card that names it"
        )
    if split := found.pop("split", None):
        card.split.by, card.split.column = "column", split
    card.columns = found if kind == "table" else {f: c for f, c in found.items() if f != "smiles"}
    card.targets = [_target(path, name, columns) for name in targets]
    return card


def _columns(path: Path, card: Card) -> Mapping[str, Sequence[Any]]:
    """Name -> values as they stand in the file."""
    if card.format == "sdf":
        return data_items(path, card)
    try:
        if path.suffix == ".parquet":
            table = pa.parquet.read_table(path)
            return {c: table[c].to_pylist() for c in table.column_names if not pa.types.is_nested(table.schema.field(c).type)}
        tabs = ".csv" not in path.suffixes
        parse = pa.csv.ParseOptions(
            delimiter="\t" if tabs else ",", quote_char=False if tabs else '"', newlines_in_values=not tabs
        )
        names = pa.csv.open_csv(path, parse_options=parse).schema.names
        texts = pa.csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False)
        read = pa.csv.read_csv(path, parse_options=parse, convert_options=texts)
    except (pa.ArrowInvalid, OSError) as error:
        raise CardError(f"cannot read {path}: {error}".replace("\n", " ")) from error
    return {name: read[name].to_pylist() for name in names}


def _fields(columns: Mapping[str, Sequence[Any]], path: Path) -> dict[str, str]:
    """Field of a record -> column. An id that repeats is none, which is said; a split must hold the names of splits."""
    lower = {name.lower(): name for name in reversed(list(columns))}
    found = {}
    unfit: list[str] = []
    for field, usual in USUAL.items():
        for name in (lower[u] for u in usual if u in lower):
            values = [str(v).strip().lower() for v in columns[name]]
            if field == "id" and (why := _no_id(values)):
                unfit.append(f"{name!r} {why}")
                continue
            if field == "split" and not set(values) <= _SPLITS:
                continue
            found[field] = name
            break
    if unfit and "id" not in found:
        _warn(f"{path}: no column names its molecules: {'; '.join(unfit)}. They are numbered instead, all-1, all-2, …")
    return found


def _no_id(values: Sequence[str]) -> str:
    """Why a column cannot name molecules, "" if it can."""
    if not all(values):
        return f"is empty in row {list(values).index('') + 1}"
    twice = next((value for value, count in Counter(values).items() if count > 1), None)
    return "" if twice is None else f"holds {twice!r} several times"


@functools.cache
def _warn(message: str) -> None:
    """Once a process, however often the file is looked at."""
    logging.getLogger(__name__).warning(message)


def _target(path: Path, name: str, columns: Mapping[str, Sequence[Any]]) -> TargetSpec:
    if name not in columns:
        near = difflib.get_close_matches(name, columns, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"it has: {', '.join(columns)}"
        raise CardError(f"{path} has no column {name!r}, which data.targets names; {hint}")
    numbers = {number for value in columns[name] if (number := _number(value)) is not None}
    if not numbers:
        raise CardError(f"{path}: column {name!r}, which data.targets names, holds no number")
    return TargetSpec(column=name, kind="classification" if numbers == {0.0, 1.0} else "regression")


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return None if number != number else number

"""Rated sheets, checked against their key and put beside the predictions that were rated."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from molfusion.annotation.sheet import PREDICTIONS, RATINGS, digest_of
from molfusion.config import ConfigError
from molfusion.rows import write_rows

FOLDER = "ratings"  # within a run's
_LINES = 20  # of complaints at a time


class Taken(NamedTuple):
    """What one sheet gave."""

    annotator: str
    rated: int  # items
    missing: list[str]  # a line each
    written: list[Path]


def take(sheets: Sequence[Path], key: Path, sweep: Path) -> list[Taken]:
    """Write `ratings/<name of the sheet>.csv` into the folder of each run of a sweep that was rated.

    Nothing is written unless all sheets are sound; what an annotator left empty is told and left out.

    Raises:
        ConfigError: no such file, no sweep, another key, a run that is not there; one line for each rating that is wrong.
    """
    if not (sweep / "plan.json").is_file():
        raise ConfigError(f"{sweep} is not the folder of a sweep: it has no plan.json")
    known = _key(key)
    if repeated := [s for s in sheets if sum(s.stem == other.stem for other in sheets) > 1]:
        raise ConfigError(f"{repeated[0]} and another sheet have one name, which is the annotator's: rename one")
    read = [_read(sheet, known) for sheet in sheets]
    if problems := [line for _, _, lines in read for line in lines]:
        more = [f"and {len(problems) - _LINES} more"] if len(problems) > _LINES else []
        raise ConfigError("\n".join([*problems[:_LINES], *more]))
    homes = _homes(known, key, sweep)
    return [_write(sheet.stem, rows, missing, homes) for sheet, (rows, missing, _) in zip(sheets, read, strict=True)]


def _key(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ConfigError(f"no key {path}: `molfusion annotate RUN …` writes it beside the sheet; name it with --key")
    try:
        key = json.loads(path.read_text(encoding="utf-8"))
        lacking = {"runs", "items", "scale", "wanted"} - key.keys()
    except (ValueError, AttributeError):
        lacking = {"runs"}
    if lacking:
        raise ConfigError(f"{path} is not the key of a sheet")
    return dict(key)


def _read(sheet: Path, key: dict[str, Any]) -> tuple[list[dict[str, Any]], list[str], list[str]]:
    """The rated items, what is missing, and what is wrong."""
    low, high = key["scale"]
    problems, seen, rows = list[str](), dict[str, int](), list[dict[str, Any]]()
    for line, row in _lines(sheet):
        name = row["item"]
        where = f"{sheet} line {line}"
        if name not in key["items"]:
            problems.append(f"{where}: there is no item {name!r} in the key: another sheet's, or a changed id")
        elif name in seen:
            problems.append(f"{where}: item {name} stands in line {seen[name]} already")
        else:
            seen[name] = line
            found: dict[str, Any] = {"item": name, "comment": row.get("comment", "")}
            for rating in RATINGS:
                value = row.get(rating, "")
                found[rating] = _number(value)
                if value and (found[rating] is None or not low <= found[rating] <= high):
                    told = f"{rating} of item {name} is {value!r}"
                    problems.append(f"{where}: {told}, expected a whole number from {low} to {high}")
            rows.append({**found, **key["items"][name]})
    missing = [f"{sheet}: item {name} is not on it" for name in key["items"] if name not in seen]
    for row in rows:
        lacking = [rating for rating in key["wanted"] if row[rating] is None]
        if lacking:
            missing.append(f"{sheet} line {seen[row['item']]}: item {row['item']} has no {' and no '.join(lacking)}")
    rated = [row for row in rows if any(row[rating] is not None for rating in RATINGS)]
    if not rated and not problems:
        problems.append(f"{sheet}: nothing is rated on it")
    return rated, missing, problems


def _lines(sheet: Path) -> list[tuple[int, dict[str, str]]]:
    """Number and cells of each line that is not empty, whatever a spreadsheet put between the cells."""
    if not sheet.is_file():
        raise ConfigError(f"no sheet {sheet}")
    try:
        text = sheet.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{sheet} is not text in UTF-8: save it as CSV UTF-8 ({error.reason})") from error
    head = text.partition("\n")[0]
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=head.count), restval="")
    columns = [name.strip().lower() for name in reader.fieldnames or []]
    if lacking := [name for name in ("item", *RATINGS) if name not in columns]:
        raise ConfigError(f"{sheet} has no column {lacking[0]!r}; it has: {', '.join(columns) or 'none'}")
    reader.fieldnames = columns
    found = []
    for row in reader:
        cells = {name: value.strip() for name, value in row.items() if isinstance(name, str) and isinstance(value, str)}
        if any(cells.values()):
            found.append((reader.line_num, cells))
    return found


def _number(text: str) -> int | None:
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        return None
    return int(value) if value.is_integer() else None


def _homes(key: dict[str, Any], path: Path, sweep: Path) -> list[Path]:
    """The folder in the sweep of each run that was rated: that with the predictions that were on the sheet."""
    here: dict[str, list[Path]] = {}
    for file in sorted(sweep.rglob(PREDICTIONS)):
        here.setdefault(digest_of(file.parent), []).append(file.parent)
    homes, problems = list[Path](), list[str]()
    for run in key["runs"]:
        was = path.resolve().parent / run["folder"]
        found = here.get(run["predictions"], [])
        same = [f for f in found if f.resolve() == was.resolve()]
        if not found:
            rated = f"the predictions of {run['folder']} that were rated"
            problems.append(f"no run in {sweep} holds {rated}: it is another sweep, or was run anew")
        homes += (same or found)[:1]
    if problems:
        raise ConfigError("\n".join(problems))
    return homes


def _write(annotator: str, rows: Sequence[dict[str, Any]], missing: list[str], homes: Sequence[Path]) -> Taken:
    written = []
    for number, home in enumerate(homes):
        mine = [{k: v for k, v in row.items() if k != "run"} for row in rows if row["run"] == number]
        if mine:
            written.append(home / FOLDER / f"{annotator}.csv")
            write_rows(mine, written[-1])
    return Taken(annotator, len(rows), missing, written)

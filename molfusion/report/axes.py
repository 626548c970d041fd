"""Where each row of a sweep stands on the sweep's axes, read from the sweep file that lies beside its runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from molfusion.report.results import Row, Table
from molfusion.sweep.rows import Specs, mark, needed_rows, rows, short
from molfusion.sweep.spec import read


@dataclass(frozen=True)
class Point:
    """A row without its axes, and the value it has on each; of a row built on others also theirs."""

    base: str
    values: Mapping[str, Any]


Points = dict[tuple[str, str], Point]  # by table and row


def points(folder: Path) -> Points:
    """Of every row of the sweep; none where a folder has no `sweep.yaml`."""
    path = folder / "sweep.yaml"
    if not path.is_file():
        return {}
    found: Points = {}
    earlier: dict[str, Specs] = {}
    for name, table in read(path).get("tables", {}).items():
        made = list(rows(path, name, table, earlier))
        earlier[name] = {row.label: row.spec for row in made}
        for row in made:
            base = row.base
            values: dict[str, Any] = {}
            for needed in needed_rows(row.spec).values():
                below = found.get((name, needed)) or found.get((needed.partition("/")[0], needed.partition("/")[2]))
                values |= below.values if below else {}
            for key, value in values.items():  # a row taken from another table has its marks in its name
                base = base.replace(mark(key, value), "")
            found[name, row.label] = Point(" ".join(base.split()), values | dict(row.axis))
    return found


@dataclass
class Axis:
    """One setting that a table varies."""

    key: str
    numeric: bool
    values: list[Any]  # in the order of the sweep, numbers by size
    series: dict[str, list[tuple[Any, Row]]]  # rows that differ in this alone: value and row, by what they share
    others: list[Row]  # rows that have no place on it

    @property
    def name(self) -> str:
        return self.key.removeprefix("model.").removeprefix("encoder.").replace("_", " ")


def axes_of(table: Table, where: Points) -> list[Axis]:
    """The settings that have at least two values among the rows that ran."""
    ran = [row for row in table.rows if row.results and not row.baseline]
    placed = [(row, where[table.name, row.label]) for row in ran if (table.name, row.label) in where]
    keys = dict.fromkeys(key for _, point in placed for key in point.values)
    varied = [k for k in keys if len({short(p.values[k]) for _, p in placed if k in p.values}) > 1]
    return [_axis(key, varied, placed) for key in varied]


def _axis(key: str, varied: Sequence[str], placed: Sequence[tuple[Row, Point]]) -> Axis:
    on = [(row, point) for row, point in placed if key in point.values]
    numeric = all(isinstance(p.values[key], int | float) and not isinstance(p.values[key], bool) for _, p in on)
    series: dict[str, list[tuple[Any, Row]]] = {}
    for row, point in on:
        rest = [mark(k, point.values[k]) for k in varied if k != key and k in point.values]
        value = point.values[key] if numeric else short(point.values[key])
        series.setdefault(" ".join([point.base, *rest]).strip(), []).append((value, row))
    if numeric:
        series = {name: sorted(line, key=lambda at: float(at[0])) for name, line in series.items()}
    values = list(dict.fromkeys(value for line in series.values() for value, _ in line))
    return Axis(key, numeric, sorted(values) if numeric else values, series, [r for r, p in placed if key not in p.values])

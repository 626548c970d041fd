"""What a sweep left on disk, as rows that can be compared."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

_SUMMED = ("steps", "train_seconds")  # of the costs: what earlier stages add to


@dataclass
class Result:
    """One run (or baseline) with its metrics and predictions."""

    folder: Path
    seed: int | None
    metrics: dict[str, float]
    record: dict[str, Any]  # all of metrics.json
    totals: dict[str, float] = field(default_factory=dict, repr=False)  # of `cost`, with those of earlier stages
    means: dict[str, dict[str, tuple[str, float]]] = field(default_factory=dict, repr=False)  # by metric, once asked for
    corpora: dict[str, Any] = field(default_factory=dict, repr=False)  # likewise, for metrics that are no means
    parts: dict[str, NDArray[np.float64]] = field(default_factory=dict, repr=False)  # what several of these are made of

    def cost(self, name: str) -> float | None:
        """One number of `cost` or of the totals; None of a baseline, which has no costs."""
        return {**(self.record.get("cost") or {}), **self.totals}.get(name)

    @cached_property
    def predictions(self) -> dict[str, NDArray[Any]]:
        """Columns of the test split's predictions."""
        path = self.folder / "predictions.parquet"
        held = path.is_file() and "split" in pq.read_schema(path).names  # without a row there are no columns
        return _columns(pq.read_table(path, filters=[("split", "=", "test")])) if held else {}

    @cached_property
    def without(self) -> dict[tuple[str, str], Result]:
        """The same model with an input taken away, by (input, how): results to compare with this one."""
        path = self.folder / "reliance.json"
        if not path.is_file():
            return {}
        rows = _columns(pq.read_table(self.folder / "reliance.parquet"))
        found = {}
        for view, ways in json.loads(path.read_text()).items():
            for how, metrics in ways.items():
                result = found[view, how] = Result(self.folder, self.seed, metrics, self.record)
                chosen = (rows["view"] == view) & (rows["how"] == how)
                result.predictions = {name: column[chosen] for name, column in rows.items()}
        return found

    @cached_property
    def curve(self) -> dict[str, tuple[list[int], list[float]]]:
        """log.csv by name; where a resumed run logged a step twice, the later value."""
        found: dict[str, dict[int, float]] = defaultdict(dict)
        path = self.folder / "log.csv"
        if path.is_file():
            with path.open() as file:
                for row in csv.DictReader(file):
                    found[row["name"]][int(row["step"])] = float(row["value"])
        return {name: (sorted(v), [v[s] for s in sorted(v)]) for name, v in found.items()}


@dataclass
class Row:
    """One encoder (or baseline) in one table, over seeds."""

    label: str
    results: list[Result] = field(default_factory=list)
    missing: list[tuple[int, str, str]] = field(default_factory=list)  # seed, status, reason
    parts: list[str] = field(default_factory=list)
    control: str = ""
    baseline: bool = False

    def values(self, metric: str, split: str = "test") -> list[float]:
        """One value a seed, of those that have it."""
        return [r.metrics[f"{split}/{metric}"] for r in self.results if f"{split}/{metric}" in r.metrics]

    def cost(self, name: str) -> float | None:
        """Mean over seeds of one number of `cost`, or of `total_steps` and `total_train_seconds`: earlier stages included."""
        values = [v for r in self.results if (v := r.cost(name)) is not None]
        return float(np.mean(values)) if values else None


@dataclass
class Table:
    """One question, all its rows."""

    name: str
    about: str
    headline: list[str]
    rows: list[Row]
    compared: dict[str, list[Any]] = field(default_factory=dict, repr=False)  # all pairs of rows by metric, once asked for

    @property
    def task(self) -> str:
        return next((str(r.record["task"]) for row in self.rows for r in row.results if "task" in r.record), "")

    @property
    def card(self) -> str:
        """Name of the data card."""
        return next((str(r.record["data"]["card"]) for row in self.rows for r in row.results if "data" in r.record), "")

    @property
    def absent(self) -> list[str]:
        """Optional files of the card that were not there: its split is another then."""
        records = [r.record["data"] for row in self.rows for r in row.results if "data" in r.record]
        return sorted({name for data in records for name in data.get("absent", [])})

    def row(self, label: str) -> Row | None:
        return next((r for r in self.rows if r.label == label), None)

    @property
    def targets(self) -> list[dict[str, Any]]:
        """Of the card, with units and spread, for property tables."""
        return next((r.record["data"]["targets"] for row in self.rows for r in row.results if "data" in r.record), [])


@dataclass
class Sweep:
    """Everything a report shows."""

    folder: Path
    title: str
    about: str
    file: str
    command: str
    seeds: list[int]
    tables: list[Table]


def load(folder: Path) -> Sweep:
    """Read a sweep's folder (`plan.json`, the runs it names, their baselines)."""
    plan = json.loads((folder / "plan.json").read_text())
    tables = []
    totals = _totals(folder, plan["cells"])
    for spec in plan["tables"]:
        rows: dict[str, Row] = {}
        for name in spec["baselines"]:
            home = folder / spec["name"] / f"baseline-{name}"
            row = rows[f"({name})"] = Row(f"({name})", baseline=True)
            result = _result(home, None)
            if result:
                row.results.append(result)
            else:
                row.missing.append((0, *_missing(home)))
        for cell in (c for c in plan["cells"] if c["table"] == spec["name"]):
            row = rows.setdefault(cell["row"], Row(cell["row"], parts=cell["parts"], control=cell["control"]))
            result = _result(folder / cell["folder"], cell["seed"])
            if result:
                result.totals = totals[cell["key"]]
                row.results.append(result)
            else:
                row.missing.append((cell["seed"], cell["status"], cell["reason"]))
        tables.append(Table(spec["name"], spec["about"], spec["headline"], list(rows.values())))
    about = {key: plan[key] for key in ("title", "about", "file", "command", "seeds")}
    return Sweep(folder, tables=tables, **about)


def _totals(folder: Path, cells: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Training steps and seconds of each cell together with those of the runs it was built on, each counted once.

    A number that one of them does not tell has no total.
    """
    own: dict[str, dict[str, float | None]] = {}
    lineage: dict[str, set[str]] = {}
    for cell in cells:  # what is needed comes first
        key = cell["key"]
        path = folder / cell["folder"] / "metrics.json"
        # A run that was only asked cost what the one it asked did, which is among those it was built on.
        trained = path.is_file() and cell.get("trained", True)
        cost = json.loads(path.read_text())["cost"] if trained else dict.fromkeys(_SUMMED, 0)
        own[key] = {name: cost.get(name) for name in _SUMMED}
        lineage[key] = {key}.union(*(lineage.get(needed, set()) for needed in cell["needs"]))
    found = {}
    for key, keys in lineage.items():
        parts = {name: [own[k][name] for k in sorted(keys)] for name in _SUMMED}
        found[key] = {f"total_{name}": sum(v for v in values if v) for name, values in parts.items() if None not in values}
    return found


def _columns(table: pa.Table) -> dict[str, NDArray[Any]]:
    return {name: table[name].to_numpy() for name in table.column_names}


def _result(folder: Path, seed: int | None) -> Result | None:
    path = folder / "metrics.json"
    if not path.is_file():
        return None
    record = json.loads(path.read_text())
    return Result(folder, seed, record["metrics"], record)


def _missing(folder: Path) -> tuple[str, str]:
    """Status and reason of a baseline without a result."""
    path = folder / "error.txt"
    line = path.read_text().splitlines()[0] if path.is_file() else "has not run"
    reason = line.removeprefix("NotApplicable: ")
    return ("failed" if reason == line else "n/a"), reason

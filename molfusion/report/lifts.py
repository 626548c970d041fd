"""What a fusion adds over its best part, its control and the best baseline."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from molfusion.report.difference import difference, paired
from molfusion.report.results import Row, Table
from molfusion.report.statistics import Interval


@dataclass(frozen=True)
class Lift:
    """What a fusion adds over one other row, on one metric; above 0 is better."""

    row: str
    against: str
    role: str  # part | control | baseline
    metric: str
    interval: Interval
    parameters: float | None  # parameters of the fusion over those of the other
    steps: float | None  # training steps likewise, earlier stages included


def lifts(table: Table, metric: str) -> list[Lift]:
    """Of every fusion over the best of its own parts (chosen on validation) and over its control."""
    out = []
    for row in table.rows:
        parts = [p for label in row.parts if (p := table.row(label)) is not None and p.results]
        if row.results and parts:
            out.append(_lift(table, row, max(parts, key=_on_validation), "part", metric))
        control = table.row(row.control) if row.control else None
        if row.results and control is not None and control.results:
            out.append(_lift(table, row, control, "control", metric))
    return [lift for lift in out if lift is not None]


def over_baseline(table: Table, row: Row, metric: str = "score") -> Lift | str:
    """Over the baseline that is best on validation, or why that cannot be told."""
    baselines = [r for r in table.rows if r.baseline]
    if not row.results or not baselines:
        return "no baseline in this table" if row.results else "the fusion has no run"
    known = [r for r in baselines if np.isfinite(_on_validation(r))]
    if not known:
        return "no baseline has a score on validation"
    best = max(known, key=_on_validation)
    found = _lift(table, row, best, "baseline", metric)
    return found or f"no test predictions of {best.label} to pair with"


def _on_validation(row: Row) -> float:
    return float(np.mean(row.values("score", "val") or [-np.inf]))


def _lift(table: Table, row: Row, other: Row, role: str, metric: str) -> Lift | None:
    found = difference(paired(row, other), metric, table.targets)
    if found is None or (interval := found.interval) is None:
        return None
    parameters, steps = (_ratio(row.cost(name), other.cost(name)) for name in ("parameters", "total_steps"))
    return Lift(row.label, other.label, role, metric, interval, parameters, steps)


def _ratio(a: float | None, b: float | None) -> float | None:
    return a / b if a and b else None

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

    @property
    def as_long(self) -> bool:
        """Whether both were trained for as many steps: to 1 %, as batches without a molecule that could be read are left out."""
        return self.steps is not None and abs(self.steps - 1) <= 0.01


def lifts(table: Table, metric: str) -> list[Lift]:
    """Of every fusion over the best of its own parts (chosen on validation) and over its control."""
    out = []
    for row in table.rows:
        out += [over_part(table, row, metric), over_control(table, row, metric)]
    return [lift for lift in out if isinstance(lift, Lift)]


def over_part(table: Table, row: Row, metric: str = "score") -> Lift | str:
    """Over the part that is best on validation, or why that cannot be told."""
    if not row.results:
        return unrun(row)
    if not row.parts:
        return "the sweep names no parts of it"
    parts = [p for label in row.parts if (p := table.row(label)) is not None and p.results]
    if not parts:
        return f"no part of it has a run ({', '.join(row.parts)})"
    return _lift(table, row, max(parts, key=_on_validation), "part", metric)


def over_control(table: Table, row: Row, metric: str = "score") -> Lift | str:
    """Over the control that the sweep names, or why that cannot be told."""
    if not row.results:
        return unrun(row)
    control = table.row(row.control) if row.control else None
    if control is None or not control.results:
        return f"its control, {row.control}, has no run" if row.control else "the sweep names no control of it"
    return _lift(table, row, control, "control", metric)


def over_baseline(table: Table, row: Row, metric: str = "score") -> Lift | str:
    """Over the baseline that is best on validation, or why that cannot be told."""
    baselines = [r for r in table.rows if r.baseline]
    if not row.results or not baselines:
        return "no baseline in this table" if row.results else unrun(row)
    known = [r for r in baselines if np.isfinite(_on_validation(r))]
    if not known:
        return "no baseline has a score on validation"
    return _lift(table, row, max(known, key=_on_validation), "baseline", metric)


def unrun(row: Row) -> str:
    """That a row did not run, and why."""
    reason = next((reason for _, _, reason in row.missing if reason), "")
    return f"it did not run: {reason}" if reason else "it did not run"


def _on_validation(row: Row) -> float:
    return float(np.mean(row.values("score", "val") or [-np.inf]))


def _lift(table: Table, row: Row, other: Row, role: str, metric: str) -> Lift | str:
    found = difference(paired(row, other), metric, table.targets)
    if found is None or (interval := found.interval) is None:
        return f"no test predictions of {other.label} to pair with"
    parameters, steps = (_ratio(row.cost(name), other.cost(name)) for name in ("parameters", "total_steps"))
    return Lift(row.label, other.label, role, metric, interval, parameters, steps)


def _ratio(a: float | None, b: float | None) -> float | None:
    return a / b if a and b else None

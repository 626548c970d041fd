"""What a fusion adds over its best part, its control and the best baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from molfusion.report.difference import difference, paired
from molfusion.report.paired import corrected, verdict
from molfusion.report.results import Result, Row, Table
from molfusion.report.scores import sign
from molfusion.report.statistics import Interval

_CORRECTED = {"score", "loss"}  # which are one; of others a few generated texts could never say anything against 20 pairs
_OF_TEXTS = ("facts/recall", "ROUGE-L")  # what baselines of texts have, who have no loss


@dataclass(frozen=True)
class Times:
    """How many times that of the other, over seeds: of the means, the least and the most."""

    mean: float
    low: float
    high: float


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
    seconds: Times | None = None  # of training likewise
    p: float = 0.0  # two-sided, corrected for all pairs of the table; of other metrics than `score` the interval decides

    @property
    def verdict(self) -> str:
        """On `score` as in "Which rows differ": the interval and the corrected test must both say so."""
        return verdict(self.interval, self.p)

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
    """Over the baseline that is best on validation, or why that cannot be told.

    By the metric, or else by the first of the table's headline that the row and a baseline have: those of texts have no loss.
    """
    baselines = [r for r in table.rows if r.baseline]
    if not row.results or not baselines:
        return "no baseline in this table" if row.results else unrun(row)
    why = ""
    for asked in dict.fromkeys([metric, *table.headline, *_OF_TEXTS]):
        best = max(baselines, key=lambda r: _on_validation(r, asked))
        if np.isfinite(_on_validation(best, asked)):
            if isinstance(found := _lift(table, row, best, "baseline", asked), Lift):
                return found
            why = why or found
    return why or "no baseline has a score on validation"


def times(value: float | None) -> str:
    """A ratio; nothing where it is not known."""
    return "" if value is None else f"× {value:.2f}"


def unrun(row: Row) -> str:
    """That a row did not run, and why."""
    reason = next((reason for _, _, reason in row.missing if reason), "")
    return f"it did not run: {reason}" if reason else "it did not run"


def _on_validation(row: Row, metric: str = "score") -> float:
    values = row.values(metric, "val")
    return sign(metric) * float(np.mean(values)) if values else -np.inf


def _lift(table: Table, row: Row, other: Row, role: str, metric: str) -> Lift | str:
    pairs = paired(row, other)
    found = difference(pairs, metric, table.targets)
    if found is None or (interval := found.interval) is None:
        return f"no test predictions of {other.label} to pair with"
    parameters, steps = (_ratio(row.cost(name), other.cost(name)) for name in ("parameters", "total_steps"))
    p = corrected(table, metric, row.label, other.label) if metric in _CORRECTED else 0.0
    return Lift(row.label, other.label, role, metric, interval, parameters, steps, _seconds(pairs), p)


def _ratio(a: float | None, b: float | None) -> float | None:
    return a / b if a and b else None


def _seconds(pairs: Sequence[tuple[Result, Result]]) -> Times | None:
    both = [tuple(r.cost("total_train_seconds") for r in pair) for pair in pairs]
    known = [(a, b) for a, b in both if a and b]
    each = [a / b for a, b in known]
    return Times(sum(a for a, _ in known) / sum(b for _, b in known), min(each), max(each)) if known else None

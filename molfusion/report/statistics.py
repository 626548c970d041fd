"""Intervals and lifts, by resampling molecules (whole groups of conformers) and seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from molfusion.metrics.retrieval import wilson
from molfusion.report.by_molecule import by_molecule
from molfusion.report.results import Row, Table

_RESAMPLES = 2000
Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % interval."""

    mean: float
    low: float
    high: float

    def excludes(self, value: float) -> bool:
        return self.low > value or self.high < value

    @property
    def verdict(self) -> str:
        """Of a difference, in words."""
        return "not distinguishable" if not self.excludes(0) else "better" if self.mean > 0 else "worse"


@dataclass(frozen=True)
class Lift:
    """What a fusion adds over one unfused row, on one metric; above 0 is better."""

    row: str
    against: str
    role: str  # part | control
    metric: str
    interval: Interval
    parameters: float | None  # parameters of the fusion over those of the other
    steps: float | None  # training steps likewise, earlier stages included


def interval(row: Row, metric: str, targets: list[dict[str, Any]]) -> Interval | None:
    """Mean over seeds and molecules; None for a metric that is no mean over molecules."""
    values, groups = matrix([by_molecule(r, metric, targets) for r in row.results])
    return None if values.size == 0 else bootstrap(values, groups)


def lifts(table: Table, metric: str) -> list[Lift]:
    """Of every fusion over the best of its own parts (chosen on validation) and over its control."""
    out = []
    for row in table.rows:
        parts = [p for label in row.parts if (p := table.row(label)) is not None and p.results]
        if row.results and parts:
            best = max(parts, key=lambda p: float(np.mean(p.values("score", "val") or [-np.inf])))
            out += _lift(table, row, best, "part", metric)
        control = table.row(row.control) if row.control else None
        if row.results and control is not None and control.results:
            out += _lift(table, row, control, "control", metric)
    return out


def _lift(table: Table, row: Row, other: Row, role: str, metric: str) -> list[Lift]:
    theirs = {r.seed: by_molecule(r, metric, table.targets) for r in other.results}
    differences = []
    for result in row.results:
        mine, against = by_molecule(result, metric, table.targets), theirs.get(result.seed, {})
        common = mine.keys() & against.keys()
        differences.append({k: (mine[k][0], mine[k][1] - against[k][1]) for k in common})
    values, groups = matrix(differences)
    if values.size == 0:
        return []
    found = bootstrap(values, groups)
    ratios = [_ratio(row.cost(name), other.cost(name)) for name in ("parameters", "total_steps")]
    return [Lift(row.label, other.label, role, metric, found, *ratios)]


def _ratio(a: float | None, b: float | None) -> float | None:
    return a / b if a and b else None


def matrix(by_seed: Sequence[dict[str, tuple[str, float]]]) -> tuple[Matrix, NDArray[np.int64]]:
    """[seeds, molecules] values of the molecules that all seeds have, and each molecule's group as a number."""
    by_seed = [s for s in by_seed if s]
    if not by_seed:
        return np.zeros((0, 0)), np.zeros(0, dtype=np.int64)
    common = sorted(set.intersection(*(set(s) for s in by_seed)))
    values = np.array([[s[k][1] for k in common] for s in by_seed])
    groups = np.unique([by_seed[0][k][0] for k in common], return_inverse=True)[1]
    return values, groups.astype(np.int64)


def bootstrap(values: Matrix, groups: NDArray[np.int64], seed: int = 0) -> Interval:
    """95 % percentile interval of the mean of [seeds, molecules], resampling groups and seeds together."""
    rng = np.random.default_rng(seed)
    count = int(groups.max()) + 1
    sums = np.stack([np.bincount(groups, weights=row, minlength=count) for row in values])  # [seeds, groups]
    sizes = np.bincount(groups, minlength=count).astype(float)
    drawn = rng.integers(count, size=(_RESAMPLES, count))
    weight = np.stack([np.bincount(d, minlength=count) for d in drawn]).astype(float)  # [resamples, groups]
    chosen = rng.integers(len(values), size=(_RESAMPLES, len(values)))
    share = np.stack([np.bincount(c, minlength=len(values)) for c in chosen]) / len(values)  # [resamples, seeds]
    totals = np.einsum("rg,sg,rs->r", weight, sums, share, optimize=True) / (weight @ sizes)
    low, high = np.quantile(totals, [0.025, 0.975])
    return Interval(float(values.mean()), float(low), float(high))


def chance_interval(chance: float, queries: int) -> tuple[float, float]:
    """Where a guesser lands in 95 of 100 tables of this size (binomial)."""
    return wilson(chance * queries, queries)

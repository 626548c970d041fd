"""Intervals, by resampling molecules (whole groups of conformers) and seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from molfusion.report.by_corpus import by_corpus
from molfusion.report.by_molecule import by_molecule
from molfusion.report.corpus import Floats, alike
from molfusion.report.resampling import Matrix, shares, weights
from molfusion.report.results import Row
from molfusion.report.scores import sign

_DIGITS = 3
_MOST = 6


@dataclass(frozen=True)
class Interval:
    """A number with its 95 % interval."""

    mean: float
    low: float
    high: float

    def excludes(self, value: float) -> bool:
        return self.low > value or self.high < value

    @property
    def signed(self) -> str:
        """Of a difference, to three digits; a bound beside 0 has as many as show on which side it is."""
        sure = self.excludes(0) and round(self.mean, _DIGITS) != 0
        low, high = (_signed(x, sure) for x in (self.low, self.high))
        return f"{self.mean:+.{_DIGITS}f} [{low}, {high}]"

    @property
    def verdict(self) -> str:
        """Of a difference, in words."""
        return "not distinguishable" if not self.excludes(0) else "better" if self.mean > 0 else "worse"


def _signed(bound: float, sure: bool) -> str:
    digits = next((d for d in range(_DIGITS, _MOST) if not sure or round(bound, d) != 0), _MOST)
    return f"{bound:+.{digits}f}"


def interval(row: Row, metric: str, targets: list[dict[str, Any]]) -> Interval | None:
    """The metric as it is printed, over seeds and molecules; None where the rows of predictions do not hold it."""
    values, groups = matrix([by_molecule(r, metric, targets) for r in row.results])
    if values.size:
        return bootstrap(sign(metric) * values, groups)  # there errors are negative
    corpora = alike([c for r in row.results if (c := by_corpus(r, metric, targets)) is not None])
    return resampled([c.value for c in corpora], [c.drawn for c in corpora], len(set(corpora[0].groups))) if corpora else None


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
    count = int(groups.max()) + 1
    sums = np.stack([np.bincount(groups, weights=row, minlength=count) for row in values])  # [seeds, groups]
    sizes = np.bincount(groups, minlength=count).astype(float)
    weight = weights(count, seed)
    means = (sums @ weight.T) / (weight @ sizes)
    return Interval(float(values.mean()), *_percentiles(means, shares(count, len(values), seed)))


def resampled(values: Sequence[float], drawn: Sequence[Floats], groups: int) -> Interval | None:
    """As `bootstrap`, of a number of each seed and what it is in each resample of so many groups.

    None where a seed has no such number. Resamples without one (a ROC-AUC without a positive) are left out.
    """
    found = np.stack(drawn)
    if not np.isfinite(values).all() or not np.isfinite(found).all(0).any():
        return None
    return Interval(float(np.mean(values)), *_percentiles(found, shares(groups, len(values))))


def _percentiles(drawn: Matrix, share: Matrix) -> tuple[float, float]:
    """Of [seeds, resamples] with the share [resamples, seeds] of each seed."""
    totals = np.where(share > 0, drawn.T * share, 0.0).sum(1)  # a seed that was not drawn may have no number there
    low, high = np.quantile(totals[np.isfinite(totals)], [0.025, 0.975])
    return float(low), float(high)

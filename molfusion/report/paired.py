"""Which rows differ? Every pair of rows over the same molecules and seeds, corrected for the number of pairs asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, product

import numpy as np
from numpy.typing import NDArray

from molfusion.report.difference import difference, paired
from molfusion.report.grid import Grid
from molfusion.report.resampling import Matrix
from molfusion.report.results import Row, Table
from molfusion.report.scores import no_likelihoods
from molfusion.report.statistics import Interval

LEVEL = 0.05
_RESAMPLES = 9_999
_ENUMERATED = 12  # groups; 4,096 patterns of signs


def verdict(found: Interval, p: float) -> str:
    """Of a difference and its corrected p."""
    return found.verdict if p < LEVEL else "not distinguishable"


@dataclass(frozen=True)
class Comparison:
    """One row minus another on one metric; above 0 the first is better."""

    row: str
    other: str
    interval: Interval  # over molecules and seeds
    p: float  # two-sided, Holm-corrected

    @property
    def verdict(self) -> str:
        """A difference counts only if both say so: the test over molecules, and the interval that knows of seeds too."""
        return verdict(self.interval, self.p)


def comparisons(table: Table, metric: str = "score") -> list[Comparison]:
    """All pairs of rows that share molecules, in the table's order; none for a metric that rows of predictions do not hold."""
    if metric not in table.compared:
        table.compared[metric] = _compared(table, metric)
    return table.compared[metric]


def corrected(table: Table, metric: str, label: str, other: str) -> float:
    """p of two rows among all pairs of their table; 1 where they are no pair."""
    pairs = {frozenset((c.row, c.other)): c.p for c in comparisons(table, metric)}
    return pairs.get(frozenset((label, other)), 1.0)


def _compared(table: Table, metric: str) -> list[Comparison]:
    found: list[tuple[Row, Row, Interval, float]] = []
    for row, other in combinations([r for r in table.rows if r.results], 2):
        apart = difference(paired(row, other), metric, table.targets)
        if apart is not None and (interval := apart.interval) is not None:
            found.append((row, other, interval, sign_flip(*apart.added)))
    ps = holm([p for *_, p in found])
    return [Comparison(a.label, b.label, i, p) for (a, b, i, _), p in zip(found, ps, strict=True)]


def sign_flip(values: Matrix, groups: NDArray[np.int64], seed: int = 0) -> float:
    """p of a mean difference of 0, by flipping the signs of whole groups; [seeds, molecules] differences.

    Exact where there are few groups. Seeds are averaged first: their spread is the interval's matter. Where a group cannot
    be left out (the only positive of a ROC-AUC) nothing is known of the others: 1.
    """
    sums = np.bincount(groups, weights=values.mean(0))
    if not np.isfinite(sums).all():
        return 1.0
    few = len(sums) <= _ENUMERATED
    extreme = np.abs(_signs(len(sums), seed) @ sums) >= abs(sums.sum()) * (1 - 1e-12)
    return float(extreme.mean() if few else (1 + extreme.sum()) / (1 + _RESAMPLES))  # what was observed counts as drawn


@lru_cache(maxsize=1)  # large, and the same for all pairs of a table
def _signs(count: int, seed: int) -> Matrix:
    """[patterns, count] of ±1: all of them where there are few."""
    if count <= _ENUMERATED:
        return np.array(list(product((-1.0, 1.0), repeat=count)))
    return np.random.default_rng(seed).choice((-1.0, 1.0), (_RESAMPLES, count))


def holm(p: Sequence[float]) -> list[float]:
    """Holm's step-down correction (1979): the family-wise error stays below the level whatever the dependence."""
    order = np.argsort(p, kind="stable")
    corrected = np.empty(len(p))
    running = 0.0
    for rank, i in enumerate(order):
        running = max(running, min(1.0, (len(p) - rank) * p[i]))
        corrected[i] = running
    return [float(x) for x in corrected]


def which_differ(table: Table, metric: str = "score") -> Grid:
    """Each row with those that it beats, those that beat it and those it cannot be told from."""
    verdicts: dict[str, dict[str, list[str]]] = {r.label: {v: [] for v in _VERDICTS} for r in table.rows if r.results}
    found = comparisons(table, metric)
    for pair in found:
        said = pair.verdict
        verdicts[pair.row][said].append(pair.other)
        verdicts[pair.other][_MIRRORED[said]].append(pair.row)
    asked = [r for r in table.rows if r.results and any(verdicts[r.label].values())]
    rows = [[r.label, *("; ".join(verdicts[r.label][v]) or "–" for v in _VERDICTS)] for r in asked]
    note = (
        f"By `{metric}`: {len(found)} pair{'s' * (len(found) > 1)}, the same molecules and seeds. A pair differs where a"
        f" sign-flip test over molecules (whole groups; Holm-corrected for {len(found)}, level {LEVEL}) and the 95 % interval"
        f" over molecules and seeds both say so.{_left_out(table, metric, asked)}"
    )
    return Grid("Which rows differ", ["", *(_HEADS[v] for v in _VERDICTS)], rows, note, emphasis=[bool(r.parts) for r in asked])


def _left_out(table: Table, metric: str, asked: Sequence[Row]) -> str:
    """Rows that no pair has, and why."""
    kept = {r.label for r in asked}
    names = [r.label for r in table.rows if r.results and r.label not in kept]
    why = f" {why}" if (why := no_likelihoods(table)) else ""
    return f" Left out, as there is no `{metric}` of theirs to compare: {'; '.join(names)}.{why}" if names else ""


_HEADS = {"better": "better than", "not distinguishable": "not distinguishable from", "worse": "worse than"}
_VERDICTS = tuple(_HEADS)
_MIRRORED = {"better": "worse", "worse": "better", "not distinguishable": "not distinguishable"}

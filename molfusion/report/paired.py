"""Which rows differ? Every pair of rows over the same molecules and seeds, corrected for the number of pairs asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
from numpy.typing import NDArray

from molfusion.report.by_molecule import by_molecule
from molfusion.report.grid import Grid
from molfusion.report.results import Row, Table
from molfusion.report.statistics import Interval, Matrix, bootstrap, matrix

LEVEL = 0.05
_RESAMPLES = 9_999
_ENUMERATED = 12  # groups; 4,096 patterns of signs


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
        return self.interval.verdict if self.p < LEVEL else "not distinguishable"


def comparisons(table: Table, metric: str = "score") -> list[Comparison]:
    """All pairs of rows that share molecules, in the table's order; no pair for a metric that is no mean over molecules."""
    found: list[tuple[Row, Row, Interval, float]] = []
    for row, other in combinations([r for r in table.rows if r.results], 2):
        values, groups = _differences(row, other, metric, table)
        if values.size:
            found.append((row, other, bootstrap(values, groups), sign_flip(values, groups)))
    corrected = holm([p for *_, p in found])
    return [Comparison(a.label, b.label, i, p) for (a, b, i, _), p in zip(found, corrected, strict=True)]


def sign_flip(values: Matrix, groups: NDArray[np.int64], seed: int = 0) -> float:
    """p of a mean difference of 0, by flipping the signs of whole groups; [seeds, molecules] differences.

    Exact where there are few groups. Seeds are averaged first: their spread is the interval's matter.
    """
    sums = np.bincount(groups, weights=values.mean(0))
    few = len(sums) <= _ENUMERATED
    signs = _every_sign(len(sums)) if few else np.random.default_rng(seed).choice((-1.0, 1.0), (_RESAMPLES, len(sums)))
    extreme = np.abs(signs @ sums) >= abs(sums.sum()) * (1 - 1e-12)
    return float(extreme.mean() if few else (1 + extreme.sum()) / (1 + _RESAMPLES))  # what was observed counts as drawn


def _every_sign(count: int) -> Matrix:
    """[2^count, count] of ±1."""
    return np.array(list(product((-1.0, 1.0), repeat=count)))


def holm(p: Sequence[float]) -> list[float]:
    """Holm's step-down correction (1979): the family-wise error stays below the level whatever the dependence."""
    order = np.argsort(p, kind="stable")
    corrected = np.empty(len(p))
    running = 0.0
    for rank, i in enumerate(order):
        running = max(running, min(1.0, (len(p) - rank) * p[i]))
        corrected[i] = running
    return [float(x) for x in corrected]


def _differences(row: Row, other: Row, metric: str, table: Table) -> tuple[Matrix, NDArray[np.int64]]:
    """Per seed and molecule; a row without seeds (a baseline) is the same against each seed."""
    theirs = {r.seed: by_molecule(r, metric, table.targets) for r in other.results}
    differences = []
    for result in row.results:
        mine = by_molecule(result, metric, table.targets)
        pairs = [theirs[s] for s in theirs if None in (s, result.seed) or s == result.seed]
        for against in pairs:
            common = mine.keys() & against.keys()
            differences.append({k: (mine[k][0], mine[k][1] - against[k][1]) for k in common})
    return matrix(differences)


def which_differ(table: Table, metric: str = "score") -> Grid:
    """Each row with those that it beats, those that beat it and those it cannot be told from."""
    verdicts: dict[str, dict[str, list[str]]] = {r.label: {v: [] for v in _VERDICTS} for r in table.rows if r.results}
    found = comparisons(table, metric)
    for pair in found:
        said = pair.verdict
        verdicts[pair.row][said].append(pair.other)
        verdicts[pair.other][_MIRRORED[said]].append(pair.row)
    rows = [[label, *("; ".join(said[v]) or "–" for v in _VERDICTS)] for label, said in verdicts.items()]
    note = (
        f"By `{metric}`: {len(found)} pair{'s' * (len(found) > 1)}, the same molecules and seeds. A pair differs where a"
        f" sign-flip test over molecules (whole groups; Holm-corrected for {len(found)}, level {LEVEL}) and the 95 % interval"
        " over molecules and seeds both say so."
    )
    emphasis = [bool(r.parts) for r in table.rows if r.results]
    return Grid("Which rows differ", ["", *(_HEADS[v] for v in _VERDICTS)], rows if found else [], note, emphasis=emphasis)


_HEADS = {"better": "better than", "not distinguishable": "not distinguishable from", "worse": "worse than"}
_VERDICTS = tuple(_HEADS)
_MIRRORED = {"better": "worse", "worse": "better", "not distinguishable": "not distinguishable"}

"""One model minus another over the same molecules and seeds: how far apart, and what each molecule adds to that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from molfusion.report.by_corpus import by_corpus
from molfusion.report.by_molecule import by_molecule
from molfusion.report.corpus import Corpus, alike
from molfusion.report.resampling import Matrix
from molfusion.report.results import Result, Row
from molfusion.report.scores import sign
from molfusion.report.statistics import Interval, bootstrap, matrix, resampled

Added = tuple[Matrix, NDArray[np.int64]]  # [pairs, M], and the group of each


@dataclass(frozen=True)
class ByMolecule:
    """Of a mean over molecules; above 0 the first model is better."""

    added: Added

    @property
    def interval(self) -> Interval | None:
        return bootstrap(*self.added)


@dataclass(frozen=True)
class ByCorpus:
    """Of any other metric; above 0 the first model is better."""

    pairs: Sequence[tuple[Corpus, Corpus]]  # all over the same molecules
    sign: int

    @property
    def interval(self) -> Interval | None:
        values = [self.sign * (a.value - b.value) for a, b in self.pairs]
        drawn = [self.sign * (a.drawn - b.drawn) for a, b in self.pairs]
        return resampled(values, drawn, len(self.pairs[0][0].added))

    @property
    def added(self) -> Added:
        """What each group adds, by leaving it out."""
        found = np.stack([self.sign * (a.added - b.added) for a, b in self.pairs])
        return found, np.arange(found.shape[1])


def paired(row: Row, other: Row) -> list[tuple[Result, Result]]:
    """The runs of two rows that share a seed; a row without seeds (a baseline) meets every seed."""
    return [(a, b) for a in row.results for b in other.results if None in (a.seed, b.seed) or a.seed == b.seed]


def difference(
    pairs: Sequence[tuple[Result, Result]], metric: str, targets: list[dict[str, Any]]
) -> ByMolecule | ByCorpus | None:
    """On one metric; None where rows of predictions do not hold it, or the two share no molecules."""
    by_seed = []
    for pair in pairs:
        mine, theirs = (by_molecule(r, metric, targets) for r in pair)
        by_seed.append({k: (mine[k][0], mine[k][1] - theirs[k][1]) for k in mine.keys() & theirs.keys()})
    values, groups = matrix(by_seed)
    if values.size:
        return ByMolecule((values, groups))
    found = [(by_corpus(a, metric, targets), by_corpus(b, metric, targets)) for a, b in pairs]
    corpora = alike([c for a, b in found if a is not None and b is not None for c in (a, b)])
    return ByCorpus(list(zip(corpora[::2], corpora[1::2], strict=True)), sign(metric)) if corpora else None

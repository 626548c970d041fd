"""A metric of all molecules together: no mean of theirs, but a formula that can be asked how often each of them counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from molfusion.report.resampling import Matrix, weights

Floats = NDArray[np.float64]
Formula = Callable[[Matrix, Floats], Floats]  # how often each counts [R, M], parts [M, columns] -> [R]
_AT_ONCE = 500  # resamples; more would take memory and no less time


@dataclass(frozen=True, eq=False)
class Corpus:
    """What each molecule puts in, and the formula; nan where there is no such number (a ROC-AUC without a positive)."""

    ids: NDArray[Any]  # [M], sorted, each once
    groups: NDArray[Any]  # [M] names
    parts: Floats  # [M, columns]
    formula: Formula
    _narrower: dict[bytes, Corpus] = field(default_factory=dict, repr=False)

    @cached_property
    def value(self) -> float:
        """The metric itself."""
        return float(self._at(np.ones((1, self._count)))[0])

    @cached_property
    def drawn(self) -> Floats:
        """[resamples] the metric when whole groups are drawn anew."""
        return self._at(weights(self._count))

    @cached_property
    def added(self) -> Floats:
        """[groups] what each group adds, by leaving it out (the jackknife's pseudo-values); of a mean, its own mean."""
        count = self._count
        without = np.concatenate([self._at(1 - np.eye(count)[i : i + _AT_ONCE]) for i in range(0, count, _AT_ONCE)])
        return count * self.value - (count - 1) * without

    def only(self, ids: NDArray[Any]) -> Corpus:
        """Of some of the molecules; the same object whenever they are the same."""
        mask = np.isin(self.ids, ids)
        if mask.all():
            return self
        key = mask.tobytes()
        if key not in self._narrower:
            self._narrower[key] = Corpus(self.ids[mask], self.groups[mask], self.parts[mask], self.formula)
        return self._narrower[key]

    @cached_property
    def _number(self) -> NDArray[np.int64]:
        """[M] each molecule's group as a number; corpora of the same molecules have the same."""
        return np.unique(self.groups, return_inverse=True)[1].astype(np.int64)

    @property
    def _count(self) -> int:
        return int(self._number.max()) + 1

    def _at(self, weight: Matrix) -> Floats:
        """[R] at [R, groups]."""
        chunks = (weight[i : i + _AT_ONCE, self._number] for i in range(0, len(weight), _AT_ONCE))
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.concatenate([self.formula(chunk, self.parts) for chunk in chunks])


def gathered(ids: NDArray[Any], groups: NDArray[Any], parts: Floats, formula: Formula) -> Corpus | None:
    """Rows [rows, columns] summed for each molecule; None without rows."""
    if not len(ids):
        return None
    names, first, at = np.unique(ids.astype(str), return_index=True, return_inverse=True)
    sums = np.stack([np.bincount(at, column, len(names)) for column in parts.T], axis=1).astype(np.float64)
    return Corpus(names, groups[first].astype(str), sums, formula)


def alike(corpora: list[Corpus]) -> list[Corpus]:
    """All of them over the molecules that all have; nothing where there are none, or where they are drawn in other groups."""
    if not corpora:
        return []
    if not all(np.array_equal(c.ids, corpora[0].ids) for c in corpora):
        common = reduce(np.intersect1d, [c.ids for c in corpora])
        corpora = [c.only(common) for c in corpora] if len(common) else []
    return corpora if all(np.array_equal(c.groups, corpora[0].groups) for c in corpora) else []


def ratio(weight: Matrix, parts: Floats) -> Floats:
    """The sum of the first column over that of the second."""
    total = weight @ parts
    found: Floats = total[:, 0] / total[:, 1]
    return found

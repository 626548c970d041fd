"""How far people who rated the same things agree."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import NamedTuple

from sklearn.metrics import cohen_kappa_score


class Agreement(NamedTuple):
    """Over every pair of annotators and the items that both rated."""

    items: int  # rated by at least two
    exact: float  # share of pairs of ratings that are equal
    kappa: float | None  # Cohen's, with quadratic weights, mean over pairs of annotators; None where nobody varied


def agreement(ratings: Mapping[str, Mapping[str, int]], low: int, high: int) -> Agreement | None:
    """Annotator -> item -> rating from `low` to `high`; None where no item has two ratings."""
    pairs = []
    for first, second in combinations(sorted(ratings), 2):
        common = sorted(ratings[first].keys() & ratings[second].keys())
        if common:
            pairs.append(([ratings[first][i] for i in common], [ratings[second][i] for i in common]))
    if not pairs:
        return None
    every = [(a, b) for first, second in pairs for a, b in zip(first, second, strict=True)]
    found = [(len(a), _kappa(a, b, low, high)) for a, b in pairs]
    known = [(n, k) for n, k in found if k is not None]
    twice = {i for a, b in combinations(sorted(ratings), 2) for i in ratings[a].keys() & ratings[b].keys()}
    kappa = sum(n * k for n, k in known) / sum(n for n, _ in known) if known else None
    return Agreement(len(twice), sum(a == b for a, b in every) / len(every), kappa)


def _kappa(first: list[int], second: list[int], low: int, high: int) -> float | None:
    if len({*first, *second}) < 2:  # chance agreement is complete: kappa is 0 / 0
        return None
    return float(cohen_kappa_score(first, second, labels=list(range(low, high + 1)), weights="quadratic"))

"""Retrieval over a full pool: where does the right one rank, ties counted fairly.

A query's rank is not one number if other candidates score the same: each order of the tied ones is equally likely,
and every figure below is the expectation over them. A model that cannot tell two molecules apart scores exactly chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
KS = (1, 5, 10, 20)
FIRST = 5  # candidates of a query that are kept by name, to be shown
# Cosines of equal inputs differ by float32 noise from batch to batch; closer than this is a tie.
TIE = 2e-6


class Ranks(NamedTuple):
    """One entry a query."""

    better: NDArray[np.int64]  # candidates that score higher than the right one
    tied: NDArray[np.int64]  # wrong candidates that score the same
    pool: NDArray[np.int64]  # candidates in all

    @property
    def middle(self) -> Floats:
        """Expected rank, from 1."""
        return 1 + self.better + self.tied / 2


def ranks(scores: NDArray[Any], truth: Sequence[int] | NDArray[np.int64], tie: float = TIE) -> Ranks:
    """Ranks of the right candidates: scores [queries, candidates], the right column of each row."""
    scores = np.asarray(scores, dtype=np.float64)
    rows = np.arange(len(scores))
    right = scores[rows, np.asarray(truth)][:, None]
    better = (scores > right + tie).sum(1)
    tied = (np.abs(scores - right) <= tie).sum(1) - 1
    return Ranks(better, tied, np.full(len(scores), scores.shape[1]))


def recall(r: Ranks, k: int) -> Floats:
    """Per query, the chance that the right one is among the first k."""
    return np.clip((k - r.better) / (r.tied + 1), 0.0, 1.0)


def reciprocal(r: Ranks) -> Floats:
    """Per query, the expected 1 / rank."""
    longest = int((r.better + r.tied).max(initial=0)) + 1
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, longest + 1))])
    mean: NDArray[np.float64] = (harmonic[r.better + r.tied + 1] - harmonic[r.better]) / (r.tied + 1)
    return mean


def summary(r: Ranks) -> dict[str, float]:
    """R@k, MRR, median rank and the size of the pool."""
    values = {f"R@{k}": float(recall(r, k).mean()) for k in KS}
    return values | {
        "MRR": float(reciprocal(r).mean()),
        "median_rank": float(np.median(r.middle)),
        "pool": float(r.pool.mean()),
    }


def within_pools(scores: NDArray[Any], pools: Sequence[str]) -> tuple[NDArray[np.int64], Ranks]:
    """Ranks among the members of each query's own pool: scores [N, N], right ones on the diagonal.

    Returns:
        The queries that are in a pool of at least two, and their ranks.
    """
    members: dict[str, list[int]] = {}
    for i, pool in enumerate(pools):
        if pool:
            members.setdefault(pool, []).append(i)
    queries: list[int] = []
    parts: list[Ranks] = []
    for group in members.values():
        if len(group) > 1:
            queries += group
            parts.append(ranks(np.asarray(scores)[np.ix_(group, group)], np.arange(len(group))))
    if not parts:
        empty = np.zeros(0, dtype=np.int64)
        return empty, Ranks(empty, empty, empty)
    return np.array(queries), Ranks(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


class Scored(NamedTuple):
    """The ranks of some queries in one direction, over the whole split or within pools."""

    direction: str  # m2t: from the molecule to its text; t2m: back
    pool: str  # all | pool | rerank
    queries: NDArray[np.int64]  # rows of the score matrix
    ranks: Ranks
    first: NDArray[np.int64] | None = None  # [queries, up to FIRST] candidates, the best first


def both_directions(scores: NDArray[Any], pools: Sequence[str]) -> list[Scored]:
    """Ranks of molecules x texts [N, N], right ones on the diagonal, whole and (where there are any) within pools."""
    out = []
    every = np.arange(len(scores))
    for direction, matrix in (("m2t", scores), ("t2m", scores.T)):
        first = np.argsort(-np.asarray(matrix), axis=1, kind="stable")[:, :FIRST]
        out.append(Scored(direction, "all", every, ranks(matrix, every), first))
        queries, within = within_pools(matrix, pools)
        if len(queries):
            out.append(Scored(direction, "pool", queries, within))
    return out


def named(found: Sequence[Scored], scope: str) -> dict[str, float]:
    """Metrics under their names: `m2t/R@1`, `3d/t2m/pool_accuracy`, and `score`, what checkpoints are chosen by."""
    out: dict[str, float] = {}
    prefix = "" if scope == "all" else f"{scope}/"
    for s in found:
        if s.pool == "pool":
            out[f"{prefix}{s.direction}/pool_accuracy"] = float(recall(s.ranks, 1).mean())
            out[f"{prefix}{s.direction}/pool_chance"] = float((1 / s.ranks.pool).mean())
        else:
            before = "rerank/" if s.pool == "rerank" else prefix
            out |= {f"{before}{s.direction}/{name}": value for name, value in summary(s.ranks).items()}
    if scope == "all":
        out["score"] = (out["m2t/MRR"] + out["t2m/MRR"]) / 2
    return out


def rows(found: Sequence[Scored], ids: Sequence[str], groups: Sequence[str], scope: str) -> list[dict[str, Any]]:
    """One row a query: what a paired test between two runs needs; of the whole pool also who came first (`found`)."""
    return [
        {
            "id": ids[query],
            "group": groups[query],
            "scope": scope,
            "direction": s.direction,
            "pool": s.pool,
            "better": int(better),
            "tied": int(tied),
            "candidates": int(size),
            "found": None if s.first is None or scope != "all" else [ids[i] for i in s.first[at]],
        }
        for s in found
        for at, (query, better, tied, size) in enumerate(zip(s.queries, *s.ranks, strict=True))
    ]


def candidates_only(scores: NDArray[Any], k: int) -> NDArray[np.bool_]:
    """Mask of each row's k best scores; what re-ranking looks at."""
    chosen = np.zeros(scores.shape, dtype=bool)
    top = np.argsort(-np.asarray(scores), axis=1, kind="stable")[:, :k]
    np.put_along_axis(chosen, top, True, axis=1)
    return chosen


def reranked(scores: NDArray[Any], candidates: NDArray[np.bool_]) -> Ranks:
    """Ranks among each row's candidates, right ones on the diagonal; one that is no candidate is missed for good."""
    r = ranks(np.where(candidates, scores, -1e9), np.arange(len(scores)))
    missed = ~candidates.diagonal()
    return r._replace(better=np.where(missed, r.pool, r.better), tied=np.where(missed, 0, r.tied))


def wilson(successes: float, trials: int, z: float = 1.96) -> tuple[float, float]:
    """95 % interval of a proportion (Wilson score); (0, 1) without trials."""
    if trials == 0:
        return 0.0, 1.0
    p = successes / trials
    centre = (p + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z * np.sqrt(p * (1 - p) / trials + z * z / (4 * trials * trials)) / (1 + z * z / trials)
    return float(max(0.0, centre - half)), float(min(1.0, centre + half))

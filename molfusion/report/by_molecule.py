"""What each molecule adds to a metric: what intervals and paired tests are computed from."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from molfusion.metrics.retrieval import Ranks, recall, reciprocal
from molfusion.report.results import Result


def by_molecule(result: Result, metric: str, targets: list[dict[str, Any]]) -> dict[str, tuple[str, float]]:
    """Molecule id -> (its group, what it adds to the metric), higher is better.

    Only for metrics that are means over molecules: R@k, MRR, pool accuracy, MAE, columns, and `score` where it is one. Others
    give {}, and `by_corpus` may know them.
    """
    if metric not in result.means:
        p = result.predictions
        if "direction" in p:
            result.means[metric] = _retrieval(p, metric)
        elif "measured" in p:
            result.means[metric] = _property(p, metric, targets)
        elif "nll" in p:  # of other metrics a molecule can have several answers, or none
            result.means[metric] = {}
        else:
            result.means[metric] = _column(p, metric)
    return result.means[metric]


def _retrieval(p: dict[str, NDArray[Any]], metric: str) -> dict[str, tuple[str, float]]:
    *before, name = metric.split("/")
    pool = "pool" if name == "pool_accuracy" else "rerank" if before[:1] == ["rerank"] else "all"
    before = [b for b in before if b != "rerank"]
    directions = [b for b in before if b in {"m2t", "t2m"}] or ["m2t", "t2m"]
    scope = next((b for b in before if b not in {"m2t", "t2m"}), "all")
    chosen = (p["pool"] == pool) & (p["scope"] == scope) & np.isin(p["direction"], directions)
    ranks = Ranks(p["better"][chosen], p["tied"][chosen], p["candidates"][chosen])
    if name.startswith("R@"):
        values = recall(ranks, int(name[2:]))
    elif name == "pool_accuracy":
        values = recall(ranks, 1)
    elif name in {"MRR", "score"}:
        values = reciprocal(ranks)
    else:
        return {}
    return _mean_by_id(p["id"][chosen], p["group"][chosen], values)


def _column(p: dict[str, NDArray[Any]], metric: str) -> dict[str, tuple[str, float]]:
    """Rows that say themselves what they add: a column a metric."""
    return _mean_by_id(p["id"], p["group"], p[metric]) if metric in p else {}


def _property(
    p: dict[str, NDArray[Any]], metric: str, targets: list[dict[str, Any]]
) -> dict[str, tuple[str, float]]:
    target, _, name = metric.rpartition("/")
    known = np.isfinite(p["measured"])
    if name == "MAE":
        chosen = known & (p["target"] == target)
        error = np.abs(p["predicted"] - p["measured"])
    elif metric == "score" and known.all() and all(t["kind"] == "regression" for t in targets):
        chosen = known  # where some were not measured, targets weigh alike and molecules do not
        spread = {t["name"]: t["spread"] or 1.0 for t in targets}
        error = np.abs(p["predicted"] - p["measured"]) / np.array([spread[t] for t in p["target"]])
    else:
        return {}
    return _mean_by_id(p["id"][chosen], p["group"][chosen], -error[chosen])


def _mean_by_id(
    ids: NDArray[Any], groups: NDArray[Any], values: NDArray[np.float64]
) -> dict[str, tuple[str, float]]:
    found: dict[str, list[float]] = defaultdict(list)
    home: dict[str, str] = {}
    for key, group, value in zip(ids, groups, values, strict=True):
        found[key].append(value)
        home[key] = group
    return {key: (home[key], float(np.mean(v))) for key, v in found.items()}

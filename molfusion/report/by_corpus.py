"""The metrics for which `by_molecule` has nothing: those of all molecules together."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from molfusion.report.corpus import Corpus, Floats, gathered, ratio
from molfusion.report.of_molecules import of_molecules
from molfusion.report.of_targets import of_targets
from molfusion.report.of_texts import of_texts
from molfusion.report.resampling import Matrix
from molfusion.report.results import Result
from molfusion.tasks.pretraining import IN_BATCH


def by_corpus(result: Result, metric: str, targets: list[dict[str, Any]]) -> Corpus | None:
    """The metric as a formula over molecules, from the rows of the test split. The losses of a pretraining, of which only batches
    are known, are drawn by whole batches.

    None where rows do not hold what it needs: sizes of pools, `novelty` in runs that were made before rows held `unseen`.
    """
    if metric not in result.corpora:
        result.corpora[metric] = _made(result, metric, targets)
    found: Corpus | None = result.corpora[metric]
    return found


def _made(result: Result, metric: str, targets: list[dict[str, Any]]) -> Corpus | None:
    p = result.predictions
    if "direction" in p:
        return _median_rank(p, metric) if metric.endswith("median_rank") else None
    if "measured" in p:
        return of_targets(p, metric, targets)
    if (column := f"{IN_BATCH}{metric}") in p and not (metric == "score" and "generated" in p):
        return gathered(p["id"], p["batch"], np.stack([p[column], np.ones(len(p["id"]))], axis=1), ratio)
    if "generated" in p:
        return of_molecules(result, metric)
    return of_texts(result, metric) if "nll" in p else None


def _median_rank(p: dict[str, NDArray[Any]], metric: str) -> Corpus | None:
    """Of one direction, over the whole split or (`3d/m2t/median_rank`) of those that have facts of a kind."""
    *scope, direction, _ = metric.split("/") if "/" in metric else ["", metric]
    rerank = scope == ["rerank"]
    chosen = (p["pool"] == ("rerank" if rerank else "all")) & (p["direction"] == direction)
    chosen &= p["scope"] == (scope[0] if scope and not rerank else "all")
    middle = 1 + p["better"] + p["tied"] / 2
    return gathered(p["id"][chosen], p["group"][chosen], middle[chosen][:, None].astype(np.float64), _median)


def _median(weight: Matrix, parts: Floats) -> Floats:
    """Half of all that was drawn lies on each side; in between, the middle of the two."""
    order = np.argsort(parts[:, 0], kind="stable")
    ranks, passed = parts[order, 0], np.cumsum(weight[:, order], axis=1)
    half = passed[:, -1:] / 2
    found: Floats = (ranks[(passed >= half).argmax(1)] + ranks[(passed > half).argmax(1)]) / 2
    return found

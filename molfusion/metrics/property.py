"""Property prediction, each target in its own unit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from molfusion.batch import Target

Floats = NDArray[np.float64]


def scores(predicted: NDArray[Any], measured: NDArray[Any], targets: Sequence[Target]) -> dict[str, float]:
    """`<target>/MAE`, `/RMSE`, `/R2` or `/ROC-AUC`, over the molecules where the target was measured.

    Args:
        predicted: [molecules, K]; probabilities for classification.
        measured: [molecules, K], nan = not measured.
        targets: K of them.

    Returns:
        A target without what its metric needs (two measured values, unequal ones, both classes) has no entry.
    """
    predicted, measured = np.asarray(predicted, dtype=np.float64), np.asarray(measured, dtype=np.float64)
    out: dict[str, float] = {}
    for column, target in enumerate(targets):
        known = np.isfinite(measured[:, column])
        p, y = predicted[known, column], measured[known, column]
        if target.kind == "classification":
            if len(np.unique(y)) == 2:
                from sklearn.metrics import roc_auc_score

                out[f"{target.name}/ROC-AUC"] = float(roc_auc_score(y, p))
        elif len(y) > 1:
            out[f"{target.name}/MAE"] = float(np.abs(p - y).mean())
            out[f"{target.name}/RMSE"] = float(np.sqrt(((p - y) ** 2).mean()))
            if y.min() < y.max():
                out[f"{target.name}/R2"] = float(1 - ((p - y) ** 2).mean() / y.var())
    return out


def selection_score(predicted: NDArray[Any], measured: NDArray[Any], targets: Sequence[Target], scale: Floats) -> float:
    """One number to choose a checkpoint by, higher is better: minus the mean MAE in units of each target's spread in
    training, or the mean ROC-AUC; their sum where a card has both kinds.
    """
    found = scores(predicted, measured, targets)
    total = []
    for column, target in enumerate(targets):
        if f"{target.name}/MAE" in found:
            total.append(-found[f"{target.name}/MAE"] / float(scale[column]))
        elif f"{target.name}/ROC-AUC" in found:
            total.append(found[f"{target.name}/ROC-AUC"])
    return float(np.mean(total)) if total else 0.0

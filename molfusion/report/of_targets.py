"""RMSE, R², ROC-AUC and `score` of predicted numbers and classes, for molecules that count more than once or not at all."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from molfusion.report.corpus import Corpus, Floats, Formula
from molfusion.report.resampling import Matrix


def of_targets(p: dict[str, NDArray[Any]], metric: str, targets: list[dict[str, Any]]) -> Corpus | None:
    """`<target>/RMSE`, `/R2`, `/ROC-AUC`, or `score` of several targets (`selection_score`)."""
    target, _, name = metric.rpartition("/")
    if name == "score" and not target:
        return _score(p, targets)
    formulas: dict[str, Formula] = {"RMSE": _rmse, "R2": _r2, "ROC-AUC": _roc_auc}
    chosen = (p["target"] == target) & np.isfinite(p["measured"].astype(float))
    if name not in formulas or not chosen.any():
        return None
    ids, groups, columns = _wide({key: column[chosen] for key, column in p.items()}, [target])
    return Corpus(ids, groups, columns, formulas[name])


def _rmse(weight: Matrix, parts: Floats) -> Floats:
    """Parts [M, 2]: predicted, measured."""
    found: Floats = np.sqrt(weight @ (parts[:, 0] - parts[:, 1]) ** 2 / weight.sum(1))
    return found


def _mae(weight: Matrix, parts: Floats) -> Floats:
    found: Floats = weight @ np.abs(parts[:, 0] - parts[:, 1]) / weight.sum(1)
    return found


def _r2(weight: Matrix, parts: Floats) -> Floats:
    predicted, measured = parts.T
    centred, count = measured - measured.mean(), weight.sum(1)
    variance = weight @ centred**2 / count - (weight @ centred / count) ** 2
    variance[variance <= 1e-12 * centred.var()] = np.nan  # one value drawn again and again
    found: Floats = 1 - weight @ (predicted - measured) ** 2 / count / variance
    return found


def _roc_auc(weight: Matrix, parts: Floats) -> Floats:
    """The share of pairs of a positive and a negative in which the positive has the higher prediction; ties count half."""
    order = np.argsort(parts[:, 0], kind="stable")
    predicted, positive = parts[order, 0], parts[order, 1] == 1
    first = np.flatnonzero(np.r_[True, predicted[1:] != predicted[:-1]])  # where each run of equal predictions begins
    weight = weight[:, order]
    above = np.add.reduceat(weight * positive, first, axis=1)
    below = np.add.reduceat(weight * ~positive, first, axis=1)
    won = (above * (np.cumsum(below, axis=1) - below / 2)).sum(1)
    found: Floats = won / (above.sum(1) * below.sum(1))
    return found


def _score(p: dict[str, NDArray[Any]], targets: list[dict[str, Any]]) -> Corpus | None:
    """The mean over targets of ROC-AUC or of minus MAE in training spreads; one without a value in a draw is left out."""
    if not targets or not len(p["id"]):
        return None
    ids, groups, parts = _wide(p, [t["name"] for t in targets])
    asked: list[tuple[slice, dict[str, Any]]] = []
    for k, target in enumerate(targets):
        known = np.isfinite(parts[:, 2 * k + 1])
        classes = len(np.unique(parts[known, 2 * k + 1]))
        if classes == 2 if target["kind"] == "classification" else known.sum() > 1:
            asked.append((slice(2 * k, 2 * k + 2), target))

    def formula(weight: Matrix, parts: Floats) -> Floats:
        each = []
        for columns, target in asked:
            known = np.isfinite(parts[:, columns]).all(1)
            if not known.any():
                continue
            chosen = weight[:, known], parts[known, columns]
            each.append(_roc_auc(*chosen) if target["kind"] == "classification" else -_mae(*chosen) / (target["spread"] or 1.0))
        if not each:
            return np.full(len(weight), np.nan)
        found = np.stack(each)
        mean: Floats = np.nansum(found, axis=0) / np.isfinite(found).sum(0)
        return mean

    return Corpus(ids, groups, parts, formula) if asked else None


def _wide(p: dict[str, NDArray[Any]], names: list[str]) -> tuple[NDArray[Any], NDArray[Any], Floats]:
    """Ids, groups, and [molecules, 2 columns a target]: predicted, measured; nan where it was not measured."""
    ids, first, at = np.unique(p["id"].astype(str), return_index=True, return_inverse=True)
    parts = np.full((len(ids), 2 * len(names)), np.nan)
    for k, name in enumerate(names):
        chosen = p["target"] == name
        parts[at[chosen], 2 * k], parts[at[chosen], 2 * k + 1] = p["predicted"][chosen], p["measured"][chosen]
    return ids, p["group"][first].astype(str), parts

"""BLEU, METEOR, ROUGE, facts, numbers and loss of generated texts, from the rows that `Answers` made of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from molfusion.metrics import facts, numeric, text
from molfusion.report.corpus import Corpus, Formula, gathered, ratio
from molfusion.report.results import Result
from molfusion.tasks.answers import property_of

_FACTS = {  # of `facts.Counts`, what is counted of what
    "precision": ("true", "checked"), "hallucination": ("true", "checked"), "recall": ("found", "wanted"),
    "unread": ("unread", "sentences"),
}  # fmt: skip


def of_texts(result: Result, metric: str) -> Corpus | None:
    """`loss`, `<metric>@<tokenizer>:<pieces>`, `ROUGE-…`, `facts/…`, `<task>/MAE`, `/valid` or `/penalised_MAE`, and a `score`
    that is one of them.
    """
    p = result.predictions
    family, _, name = metric.rpartition("/")
    if metric == "score":
        chosen = _chosen(result)
        return _loss(p, -1) if chosen == "loss" else of_texts(result, chosen) if chosen else None
    if metric == "loss":
        return _loss(p)
    said = np.array([t is not None for t in p["text"]])
    if name in {"MAE", "valid", "penalised_MAE"} and family:
        return _numbers(_rows(p, said & np.array([property_of(t) == family for t in p["target"]])), family, name)
    worded = _rows(p, said & np.array([property_of(t) is None for t in p["target"]]))
    if not len(worded["id"]):
        return None
    if family == "facts" and (name in _FACTS or name == "claims"):
        return _facts(result, worded, name)
    kind, _, cut = metric.partition("@")
    if kind in {"BLEU-2", "BLEU-4"} and (counts := f"{text.COUNTS}@{cut}") in worded:
        return gathered(worded["id"], worded["group"], np.array([*worded[counts]]), _bleu(int(kind[-1])))
    if metric.startswith(("METEOR@", "ROUGE-")) and metric in worded:
        each = worded[metric].astype(np.float64)
        return gathered(worded["id"], worded["group"], np.stack([each, np.ones(len(each))], axis=1), ratio)
    return None


def _chosen(result: Result) -> str | None:
    """The metric that a run's `select` named: the one that is its `score` in every split. A loss is its negative."""
    splits = [s for s in ("val", "test") if f"{s}/score" in result.metrics]
    names = sorted(m.removeprefix("test/") for m in result.metrics if m.startswith("test/") and m != "test/score")
    signs = {n: -1 if n == "loss" else 1 for n in names}
    same = [n for n in names if all(result.metrics.get(f"{s}/{n}") == signs[n] * result.metrics[f"{s}/score"] for s in splits)]
    return next(iter(same), None) if splits else None


def _loss(p: dict[str, NDArray[Any]], sign: int = 1) -> Corpus | None:
    """Of a token of all texts; with -1, the score of runs that were chosen by it."""
    counted = np.stack([sign * p["nll"].astype(float), p["tokens"].astype(float)], axis=1)
    return gathered(p["id"], p["group"], counted, ratio) if np.isfinite(counted).all() else None


def _rows(p: dict[str, NDArray[Any]], chosen: NDArray[np.bool_]) -> dict[str, NDArray[Any]]:
    return {name: column[chosen] for name, column in p.items()}


def _numbers(p: dict[str, NDArray[Any]], task: str, name: str) -> Corpus | None:
    right = np.array([numeric.parse(t, integers=True) for t in p["target"]], dtype=np.float64)
    error = np.abs(numeric.answers(list(p["text"]), [task] * len(right)) - right)
    valid = np.isfinite(error)
    if name == "MAE":
        counted = np.where(valid, error, 0.0), valid
    elif name == "valid":
        counted = valid, np.ones(len(valid))
    else:
        assumed = p["assumed"].astype(float) if "assumed" in p else np.full(len(valid), np.nan)
        counted = np.where(valid, error, np.abs(assumed - right)), np.ones(len(valid))
        if not np.isfinite(counted[0]).all():
            return None
    return gathered(p["id"], p["group"], np.stack(counted, axis=1).astype(np.float64), ratio)


def _facts(result: Result, p: dict[str, NDArray[Any]], name: str) -> Corpus | None:
    if "facts" not in result.parts:
        asked = zip(p["text"], p["smiles"], p["target"], strict=True)
        result.parts["facts"] = np.array([facts.counts(*texts) for texts in asked], dtype=np.float64)
    counted = dict(zip(facts.Counts._fields, result.parts["facts"].T, strict=True))
    if name == "claims":
        columns = counted["stated"], np.ones(len(p["id"]))
    else:
        part, whole = (counted[column] for column in _FACTS[name])
        columns = (whole - part if name == "hallucination" else part), whole
    return gathered(p["id"], p["group"], np.stack(columns, axis=1), ratio)


def _bleu(n: int) -> Formula:
    return lambda weight, parts: text.bleu(weight @ parts, n)

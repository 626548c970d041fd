"""BLEU, METEOR, ROUGE, facts, numbers and loss of generated texts, from the texts themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from molfusion.metrics import facts, numeric, text
from molfusion.report.corpus import Corpus, Floats, Formula, gathered, ratio
from molfusion.report.resampling import Matrix
from molfusion.report.results import Result
from molfusion.tasks.answers import property_of
from molfusion.views.tokenizer import EMBEDDED

_FACTS = {  # of `facts.Counts`, what is counted of what
    "precision": ("true", "checked"), "hallucination": ("true", "checked"), "recall": ("found", "wanted"),
    "unread": ("unread", "sentences"),
}  # fmt: skip


def of_texts(result: Result, metric: str) -> Corpus | None:
    """`loss`, `<metric>@<tokenizer>:<pieces>`, `ROUGE-…`, `facts/…`, `<task>/MAE`, `<task>/valid`, and a `score` that is one."""
    p = result.predictions
    family, _, name = metric.rpartition("/")
    if metric == "score":
        chosen = _chosen(result)
        return of_texts(result, chosen) if chosen else None
    if metric == "loss":
        counted = np.stack([p["nll"].astype(float), p["tokens"].astype(float)], axis=1)
        return gathered(p["id"], p["group"], counted, ratio) if np.isfinite(counted).all() else None
    said = np.array([t is not None for t in p["text"]])
    if name in {"MAE", "valid"} and family:
        return _numbers(_rows(p, said & np.array([property_of(t) == family for t in p["target"]])), family, name)
    worded = _rows(p, said & np.array([property_of(t) is None for t in p["target"]]))
    if not len(worded["id"]):
        return None
    if family == "facts" and (name in _FACTS or name == "claims"):
        return _facts(result, worded, name)
    kind, _, cut = metric.partition("@")
    texts = list(worded["text"]), list(worded["target"])
    if cut and _tokenizer(cut)[0] != EMBEDDED:
        return None  # its place is not in the name, and a report looks for nothing on a hub
    if kind in {"BLEU-2", "BLEU-4"} and cut:
        return _bleu(result, worded, texts, int(kind[-1]), cut)
    if metric in {"ROUGE-1", "ROUGE-2", "ROUGE-L"}:
        each = text.rouge(*texts, metric)
    elif kind == "METEOR" and cut:
        each = text.meteor(*texts, *_tokenizer(cut))
    else:
        return None
    return gathered(worded["id"], worded["group"], np.stack([each, np.ones(len(each))], axis=1), ratio)


def _chosen(result: Result) -> str | None:
    """The metric that a run's `select` named: the one that is its `score` in every split. A loss is its negative."""
    splits = [s for s in ("val", "test") if f"{s}/score" in result.metrics]
    names = sorted(m.removeprefix("test/") for m in result.metrics if m.startswith("test/") and m != "test/score")
    same = [n for n in names if all(result.metrics.get(f"{s}/{n}") == result.metrics[f"{s}/score"] for s in splits)]
    return next(iter(same), None) if splits else None


def _rows(p: dict[str, NDArray[Any]], chosen: NDArray[np.bool_]) -> dict[str, NDArray[Any]]:
    return {name: column[chosen] for name, column in p.items()}


def _numbers(p: dict[str, NDArray[Any]], task: str, name: str) -> Corpus | None:
    right = np.array([numeric.parse(t, integers=True) for t in p["target"]], dtype=np.float64)
    error = np.abs(numeric.answers(list(p["text"]), [task] * len(right)) - right)
    valid = np.isfinite(error)
    counted = (np.where(valid, error, 0.0), valid) if name == "MAE" else (valid, np.ones(len(valid)))
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


def _bleu(result: Result, p: dict[str, NDArray[Any]], texts: tuple[list[str], list[str]], n: int, cut: str) -> Corpus | None:
    if f"@{cut}" not in result.parts:
        found = text.shared(*texts, *_tokenizer(cut))
        result.parts[f"@{cut}"] = np.column_stack([found.matches, found.total, found.said, found.wanted])
    return gathered(p["id"], p["group"], result.parts[f"@{cut}"], _bleu_of(n))


def _bleu_of(n: int) -> Formula:
    def formula(weight: Matrix, parts: Floats) -> Floats:
        total = weight @ parts
        return text.bleu(total[:, :n], total[:, 4 : 4 + n], total[:, 8], total[:, 9])

    return formula


def _tokenizer(cut: str) -> tuple[str, int | None]:
    """`molfusion:512` as it was put together by `text.key`."""
    name, colon, pieces = cut.rpartition(":")
    return (name, int(pieces)) if colon else (cut, None)

"""Baselines say a text of every test record, trained rows of some: both are scored on the same."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace
from functools import reduce
from typing import Any

import numpy as np

from molfusion.report.by_corpus import by_corpus
from molfusion.report.results import Result, Table


def on_same_texts(table: Table) -> Table:
    """The table with its baselines on the test records of which every trained row has a text; as it is where there are none."""
    shared = _shared(table)
    if not shared:
        return table
    rows = [replace(r, results=[_of(x, shared, table) for x in r.results]) if r.baseline else r for r in table.rows]
    return replace(table, rows=rows, compared={})


def counted(table: Table) -> str:
    """How many texts there are of how many records, where some were not generated."""
    shared = _shared(table)
    known = {i: g for p in _predictions(table) for i, g in zip(p["id"], p["group"], strict=True)}
    if not shared or len(shared) == len(known):
        return ""
    of = len({known[i] for i in shared})
    molecules = f" ({of} molecule{'s' * (of > 1)})" if of < len(shared) else ""
    has = "; baselines are counted on the same" if any(r.baseline and r.results for r in table.rows) else ""
    return f"Texts were generated for {len(shared)} of {len(known)} test records{molecules}{has}; the `loss` is that of all."


def _predictions(table: Table) -> list[dict[str, Any]]:
    """Of the trained rows' runs that generated texts."""
    runs = [r for row in table.rows if not row.baseline for r in row.results if r.metrics.get("test/generated")]
    return [r.predictions for r in runs if "text" in r.predictions]


def _shared(table: Table) -> Set[str]:
    told = [_told(p) for p in _predictions(table)]
    return reduce(lambda a, b: a & b, told) if told else set()


def _told(p: dict[str, Any]) -> Set[str]:
    """Ids of the records that a text was generated for."""
    return {i for i, text in zip(p["id"], p["text"], strict=True) if text is not None}


def _of(result: Result, ids: Set[str], table: Table) -> Result:
    """On these test records alone, with the metrics that its rows of predictions hold."""
    if "text" not in result.predictions:
        return result
    found = Result(result.folder, result.seed, result.metrics, result.record)
    kept = np.isin(result.predictions["id"].astype(str), sorted(ids))
    found.predictions = {name: column[kept] for name, column in result.predictions.items()}
    names = [m.removeprefix("test/") for m in result.metrics if m.startswith("test/")]
    made = {f"test/{n}": c.value for n in names if (c := by_corpus(found, n, table.targets)) is not None and np.isfinite(c.value)}
    found.metrics = {m: v for m, v in result.metrics.items() if not m.startswith("test/")} | made
    found.metrics["test/generated"] = float(len(_told(found.predictions)))
    return found

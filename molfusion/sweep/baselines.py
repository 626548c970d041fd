"""Run a baseline on the data of a sweep's table and leave its results where a run would."""

from __future__ import annotations

import json
import multiprocessing as mp
import time
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from molfusion.baselines import baseline
from molfusion.build import Built, build
from molfusion.config import digest
from molfusion.encoders.base import NotApplicable
from molfusion.paths import atomic
from molfusion.provenance import provenance, source_digest
from molfusion.runner import data_record
from molfusion.sweep.engine import unrestored
from molfusion.sweep.lacking import lacks
from molfusion.sweep.plan import Cell
from molfusion.tasks.captioning import Captioning


class Asked(NamedTuple):
    """A baseline on the data of a cell, and where its results go."""

    cell: Cell
    name: str
    folder: Path
    allowed: Sequence[str] = ()


def run_all(asked: Sequence[Asked], jobs: int) -> Iterator[Asked]:
    """Run baselines beside each other, in processes that keep what one of them has read for the next; each as it ends."""
    context: Any = mp.get_context("fork" if "fork" in mp.get_all_start_methods() else "spawn")
    with ProcessPoolExecutor(jobs, context) as pool:
        running = {pool.submit(run_baseline, *one): one for one in asked}
        for ended in as_completed(running):
            ended.result()
            yield running[ended]


def run_baseline(cell: Cell, name: str, folder: Path, allowed: Sequence[str] = ()) -> None:
    """`name` on the cell's data, unless the same was done before.

    A failure, or why these data have no answer, is written to error.txt and shown in the report.
    """
    done = folder / "metrics.json"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "error.txt").unlink(missing_ok=True)
    start = time.perf_counter()
    try:
        built = build(unrestored(cell), folder, (), allowed)
        made_from = _made_from(cell, built)
        if done.is_file() and json.loads(done.read_text())["made_from"] == made_from:
            return
        done.unlink(missing_ok=True)
        if why := lacks(type(built.task).needs, type(built.task), built.data):
            raise NotApplicable(why)
        built.data.prepare_data()
        built.data.setup()
        made = baseline(type(built.task).__name__, name)
        metrics, rows = made(built.data, built.task) if isinstance(built.task, Captioning) else made(built.data)
    except Exception as error:
        line = " ".join(f"{type(error).__name__}: {error}".split())
        (folder / "error.txt").write_text(f"{line}\n\n{traceback.format_exc()}")
        done.unlink(missing_ok=True)
        return
    if rows:
        with atomic(folder / "predictions.parquet") as path:
            pq.write_table(pa.Table.from_pylist(rows), path, compression="zstd")
    record = {
        "name": name,
        "task": type(built.task).__name__,
        "metrics": metrics,
        "data": data_record(built.data),
        "made_from": made_from,
        "seconds": round(time.perf_counter() - start, 2),
        "provenance": provenance("cpu"),
    }
    with atomic(done) as path:
        path.write_text(json.dumps(record, indent=1))


def _made_from(cell: Cell, built: Built) -> str:
    """Of the data, of who takes part in them and of the code."""
    data = built.data
    views = sorted(map(repr, data.population))
    return digest({"data": cell.config.tree.get("data"), "views": views, "card": data.card.digest(), "code": source_digest()})

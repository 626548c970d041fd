"""Run a baseline on the data of a sweep's table and leave its results where a run would."""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from molfusion.baselines import baseline
from molfusion.build import build
from molfusion.paths import atomic
from molfusion.provenance import provenance, source_digest
from molfusion.sweep.engine import unrestored
from molfusion.sweep.plan import Cell


def run_baseline(cell: Cell, name: str, folder: Path, allowed: Sequence[str] = ()) -> None:
    """`name` on the cell's data; a failure is written to error.txt and shown in the report."""
    done = folder / "metrics.json"
    if done.is_file() and json.loads(done.read_text())["provenance"]["source_digest"] == source_digest():
        return
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "error.txt").unlink(missing_ok=True)
    start = time.perf_counter()
    try:
        built = build(unrestored(cell), folder, (), allowed)
        built.data.prepare_data()
        built.data.setup()
        metrics, rows = baseline(type(built.task).__name__, name)(built.data)
    except Exception as error:
        (folder / "error.txt").write_text(f"{type(error).__name__}: {error}\n\n{traceback.format_exc()}")
        return
    with atomic(folder / "predictions.parquet") as path:
        pq.write_table(pa.Table.from_pylist(rows), path, compression="zstd")
    record = {
        "name": name,
        "metrics": metrics,
        "seconds": round(time.perf_counter() - start, 2),
        "provenance": provenance("cpu"),
    }
    with atomic(done) as path:
        path.write_text(json.dumps(record, indent=1))

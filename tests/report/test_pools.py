import json

import pyarrow as pa
import pyarrow.parquet as pq

from molfusion.report.page import write as report
from tests.report.helpers import csv_tables


def test_same_graph_pools_count_their_own_queries(tmp_path):
    """3d: four molecules in pools of two, asked both ways; chi: two molecules. Chance is told for that many queries."""
    rows = [
        {
            "split": "test", "id": f"{kind}{i}", "group": f"{kind}{i // 2}", "scope": kind, "direction": direction,
            "pool": "pool", "better": better, "tied": 0, "candidates": 2,
        }
        for kind, ranks in (("3d", (0, 1, 0, 1)), ("chi", (0, 0)))
        for direction in ("m2t", "t2m")
        for i, better in enumerate(ranks)
    ]  # fmt: skip
    metrics = {f"test/{k}/{d}/pool_chance": 0.5 for k in ("3d", "chi") for d in ("m2t", "t2m")}
    metrics |= {f"test/{k}/{d}/pool_accuracy": v for k, v in (("3d", 0.5), ("chi", 1.0)) for d in ("m2t", "t2m")}
    home = tmp_path / "t" / "A"
    home.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows), home / "predictions.parquet")
    names = ("parameters", "encoder_parameters", "trained_parameters", "steps", "molecules_per_second",
             "train_seconds", "wall_seconds", "peak_memory_mb")  # fmt: skip
    cost = {**dict.fromkeys(names, 1), "padding": {}}
    (home / "metrics.json").write_text(json.dumps({"task": "Retrieval", "metrics": metrics, "cost": cost}))
    cell = {
        "key": "t/A/0", "table": "t", "row": "A", "seed": 0, "folder": "t/A", "needs": [], "parts": [],
        "control": "", "status": "done", "reason": "",
    }  # fmt: skip
    plan = {"title": "", "about": "", "file": "", "command": "", "seeds": [0], "cells": [cell]}
    plan["tables"] = [{"name": "t", "about": "", "headline": [], "baselines": []}]
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    report(tmp_path)
    head, row = csv_tables(tmp_path)["t-same-graph-pools"]
    assert head == ["", "3d pools", "3d: verdict", "chi pools", "chi: verdict"]
    # Each group's mean is 1/2 in 3d (0 and 1), 1 in chi: no spread. Wilson's intervals are of 8 and 4 queries.
    assert row == [
        "A", "0.500 [0.500, 0.500]", "at chance (0.50 [0.22, 0.78])",
        "1.000 [1.000, 1.000]", "above chance (0.50 [0.15, 0.85])",
    ]  # fmt: skip

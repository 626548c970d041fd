import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from molfusion.report.page import write as report
from molfusion.report.pools import kinds, pools
from molfusion.report.results import Result, Row, Table
from tests.report.helpers import csv_tables


def test_same_graph_pools_count_their_own_queries(tmp_path):
    """3d: four molecules in pools of two, asked both ways; chi: two molecules."""
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
    # Each group's mean is 1/2 in 3d (0 and 1), 1 in chi: no spread. Of one group the test can say nothing.
    assert row == [
        "A", "0.500 [0.500, 0.500]", "not distinguishable (0.50)",
        "1.000 [1.000, 1.000]", "not distinguishable (0.50)",
    ]  # fmt: skip


def row(label, right, asked="pool"):
    """Of one seed: by molecule, whether the right record came first among two, both ways. Each is a group of its own."""
    n = len(right) * 2
    ids = np.repeat([f"m{i:02}" for i in range(len(right))], 2)
    predictions = {
        "id": ids, "group": ids,
        "scope": np.full(n, "3d"), "direction": np.array(["m2t", "t2m"] * len(right)), "pool": np.full(n, asked),
        "better": np.repeat([0 if r else 10 for r in right], 2), "tied": np.zeros(n, int), "candidates": np.full(n, 20),
    }  # fmt: skip
    mean = sum(right) / len(right)
    names = {"pool": {"3d/pool_accuracy": mean, "3d/m2t/pool_chance": 0.5}, "all": {"3d/m2t/R@10": mean, "3d/t2m/R@10": mean}}
    found = Result(Path(), 0, {f"test/{name}": value for name, value in names[asked].items()}, {})
    found.predictions = predictions
    return Row(label, [found])


def test_a_verdict_is_corrected_for_the_rows():
    """Ten of ten right: p = 2/1024 by flipping signs, and Holm's for 3 rows 6/1024. Nine of ten: 22/1024, then 44/1024;
    eight of ten: 112/1024.
    """
    rows = [row("ten", [1] * 10), row("eight", [1] * 8 + [0] * 2), row("nine", [1] * 9 + [0])]
    made = pools(Table("t", "", [], rows)).rows
    assert [cells[0] for cells in made] == ["ten", "eight", "nine"]
    no = "not distinguishable (0.50)"
    assert [cells[2] for cells in made] == ["above chance (0.50)", no, "above chance (0.50)"]
    assert made[2][1] == "0.900 [0.700, 1.000]"
    # Beside two more rows 22/1024 counts four times: not told apart, though the interval excludes chance.
    more = [*rows, *(row(f"half {i}", [1, 0] * 5) for i in "ab")]
    assert pools(Table("t", "", [], more)).rows[2][1:] == ["0.900 [0.700, 1.000]", no]
    none = pools(Table("t", "", [], [*rows, row("below", [0] * 10), Row("gone", missing=[(0, "failed", "no memory")])])).rows
    assert none[3][2] == "below chance (0.50)"
    assert none[4] == ["gone", "n/a", "it did not run: no memory"]


def test_kinds_have_intervals_baselines_too():
    baseline = row("(ridge)", [1, 1, 0, 0], "all")
    baseline.baseline, baseline.results[0].seed = True, None
    grid = kinds(Table("t", "", [], [baseline, row("A", [1, 1, 1, 1], "all")]))
    assert grid.columns == ["", "3d m2t R@10", "3d t2m R@10"]
    assert grid.rows == [["(ridge)", *["0.500 [0.000, 1.000]"] * 2], ["A", *["1.000 [1.000, 1.000]"] * 2]]

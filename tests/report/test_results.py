import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from molfusion.report.by_corpus import by_corpus
from molfusion.report.by_molecule import by_molecule
from molfusion.report.results import Result, load

TARGETS = [
    {"name": "a", "unit": "eV", "kind": "regression", "spread": 2.0},
    {"name": "b", "unit": "", "kind": "regression", "spread": 0.5},
]


def result(folder: Path, rows) -> Result:
    pq.write_table(pa.Table.from_pylist(rows), folder / "predictions.parquet")
    return Result(folder, 0, {}, {})


def query(key, better, tied, direction="m2t", scope="all", pool="all", split="test", candidates=20):
    return {
        "split": split, "id": key, "group": key[0], "direction": direction, "scope": scope, "pool": pool,
        "better": better, "tied": tied, "candidates": candidates,
    }  # fmt: skip


@pytest.fixture
def retrieval(tmp_path):
    return result(tmp_path, [
        query("x1", 0, 0), query("x1", 3, 1, "t2m"),
        query("y1", 9, 2), query("y1", 0, 3, "t2m"),
        query("y1", 0, 0, split="val"),
        query("x1", 0, 1, scope="3d"), query("x1", 1, 0, scope="3d", pool="pool", candidates=2),
        query("x1", 0, 1, "t2m", scope="3d", pool="pool", candidates=2),
        query("x1", 2, 0, pool="rerank"),
    ])  # fmt: skip


@pytest.mark.parametrize(
    ("metric", "x1", "y1"),
    [
        ("m2t/R@1", 1.0, 0.0),
        ("m2t/R@10", 1.0, 1 / 3),  # ranks 10, 11, 12 are equally likely
        ("t2m/R@1", 0.0, 1 / 4),
        ("t2m/R@5", 1.0, 1.0),
        ("R@1", 0.5, 1 / 8),
        ("m2t/MRR", 1.0, (1 / 10 + 1 / 11 + 1 / 12) / 3),
        ("t2m/MRR", (1 / 4 + 1 / 5) / 2, (1 + 1 / 2 + 1 / 3 + 1 / 4) / 4),
        ("score", (1 + 9 / 40) / 2, ((1 / 10 + 1 / 11 + 1 / 12) / 3 + 25 / 48) / 2),
    ],
)
def test_retrieval_by_hand(retrieval, metric, x1, y1):
    found = by_molecule(retrieval, metric, [])
    assert found == {"x1": ("x", pytest.approx(x1)), "y1": ("y", pytest.approx(y1))}


def test_scopes_pools_and_reranking_are_kept_apart(retrieval):
    assert by_molecule(retrieval, "3d/m2t/R@1", []) == {"x1": ("x", 0.5)}
    assert by_molecule(retrieval, "3d/pool_accuracy", []) == {"x1": ("x", pytest.approx((0 + 1 / 2) / 2))}
    assert by_molecule(retrieval, "3d/t2m/pool_accuracy", []) == {"x1": ("x", 0.5)}
    assert by_molecule(retrieval, "rerank/m2t/R@1", []) == {"x1": ("x", 0.0)}
    assert by_molecule(retrieval, "rerank/m2t/MRR", []) == {"x1": ("x", pytest.approx(1 / 3))}
    assert by_molecule(retrieval, "chi/pool_accuracy", []) == {}


def test_what_is_no_mean_over_molecules(retrieval):
    for metric in ("m2t/median_rank", "m2t/pool", "3d/m2t/pool_chance"):
        assert by_molecule(retrieval, metric, []) == {}


def value(key, target, predicted, measured, split="test"):
    return {"split": split, "id": key, "group": key[0], "target": target, "predicted": predicted, "measured": measured}


@pytest.fixture
def property_(tmp_path):
    nan = float("nan")
    return result(tmp_path, [
        value("x1", "a", 1.0, 3.0), value("x1", "b", 1.0, 0.5),
        value("y1", "a", 2.0, nan), value("y1", "b", 0.0, 2.0),
        value("z1", "a", 5.0, nan), value("z1", "b", 5.0, nan),
        value("x1", "a", 9.0, 0.0, split="val"),
    ])  # fmt: skip


def test_errors_count_negative_and_the_unmeasured_not_at_all(property_):
    assert by_molecule(property_, "a/MAE", TARGETS) == {"x1": ("x", -2.0)}
    assert by_molecule(property_, "b/MAE", TARGETS) == {"x1": ("x", -0.5), "y1": ("y", -2.0)}


def test_the_score_is_in_spreads(property_):
    property_.predictions["measured"] = np.array([3.0, 0.5, 1.0, 2.0, 5.0, 5.0])
    found = {"x1": ("x", -(2 / 2 + 0.5 / 0.5) / 2), "y1": ("y", -(1 / 2 + 2 / 0.5) / 2), "z1": ("z", 0.0)}
    assert by_molecule(property_, "score", TARGETS) == found


def test_where_some_are_not_measured_the_score_is_no_mean_over_molecules(property_):
    """Each target weighs the same, however many molecules it was measured for."""
    assert by_molecule(property_, "score", TARGETS) == {}
    found = by_corpus(property_, "score", TARGETS)
    assert found.value == pytest.approx(-(0.5 + 2) / 2 / 0.5)  # `a` was measured once: the score leaves it out, as in training


def test_a_target_without_spread_counts_as_it_is(property_):
    property_.predictions["measured"] = np.array([3.0, 0.5, 0.0, 0.0, 0.0, 0.0])
    constant = [TARGETS[0] | {"spread": 0.0}, TARGETS[1]]
    assert by_molecule(property_, "score", constant)["x1"] == ("x", -(2 + 1) / 2)


def test_property_metrics_that_are_no_means(property_):
    for metric in ("a/RMSE", "a/R2", "a/ROC-AUC"):
        assert by_molecule(property_, metric, TARGETS) == {}
    assert by_molecule(property_, "score", [TARGETS[0], TARGETS[1] | {"kind": "classification"}]) == {}


def test_a_curve_takes_the_later_value_of_a_step_logged_twice(tmp_path):
    (tmp_path / "log.csv").write_text(
        "step,epoch,name,value\n0,0,train/loss,3\n1,0,train/loss,2\n2,1,train/loss,9\n1,0,val/score,0.5\n2,1,train/loss,1\n"
    )
    assert Result(tmp_path, 0, {}, {}).curve == {"train/loss": ([0, 1, 2], [3, 2, 1]), "val/score": ([1], [0.5])}
    assert Result(tmp_path / "nowhere", 0, {}, {}).curve == {}


def test_load_counts_earlier_stages_once_and_keeps_what_is_missing(tmp_path):
    def cell(row, seed, needs=(), status="done", reason=""):
        return {
            "key": f"t/{row}/{seed}", "table": "t", "row": row, "seed": seed, "folder": f"t/{row}/{seed}",
            "needs": list(needs), "parts": [], "control": "", "status": status, "reason": reason,
        }  # fmt: skip

    plan = {
        "title": "T", "about": "", "file": "f", "command": "c", "seeds": [0, 1],
        "tables": [{"name": "t", "about": "", "headline": [], "baselines": ["chance", "ridge"]}],
        "cells": [
            cell("A", 0), cell("A", 1, status="failed", reason="why"), cell("B", 0, ["t/A/0"]), cell("C", 0, ["t/B/0", "t/A/0"]),
        ],
    }  # fmt: skip
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    for row, steps, seconds in (("A", 10, 4.0), ("B", 5, 2.0), ("C", 1, 1.0)):
        folder = tmp_path / "t" / row / "0"
        folder.mkdir(parents=True)
        cost = {"steps": steps, "train_seconds": seconds, "parameters": 7}
        record = {"metrics": {"test/score": 0.5, "val/score": 0.25}, "cost": cost}
        (folder / "metrics.json").write_text(json.dumps(record))
    (tmp_path / "t" / "baseline-ridge").mkdir()
    (tmp_path / "t" / "baseline-ridge" / "error.txt").write_text("ValueError: told\n\nTraceback")
    (table,) = load(tmp_path).tables
    rows = {row.label: row for row in table.rows}
    assert list(rows) == ["(chance)", "(ridge)", "A", "B", "C"]
    assert [rows[x].cost("total_steps") for x in "ABC"] == [10, 15, 16]
    assert [rows[x].cost("total_train_seconds") for x in "ABC"] == [4.0, 6.0, 7.0]
    assert "total_steps" not in rows["A"].results[0].record["cost"]  # what was read stays as it was
    assert rows["A"].cost("parameters") == 7
    assert rows["A"].missing == [(1, "failed", "why")]
    assert rows["A"].values("score") == [0.5]
    assert rows["A"].values("score", "val") == [0.25]
    assert rows["(chance)"].missing == [(0, "failed", "has not run")]
    assert rows["(ridge)"].missing == [(0, "failed", "ValueError: told")]
    assert rows["(chance)"].baseline
    assert rows["(chance)"].cost("steps") is None


def test_rows_that_say_themselves_what_they_add(tmp_path):
    """Of generated molecules a molecule's value is the mean over its samples; `generated` itself is no metric."""
    rows = [
        {"split": "test", "id": i, "group": g, "sample": n, "generated": "C", "score": x, "exact": float(x == 1)}
        for i, g, n, x in (("a", "u", 0, 1.0), ("a", "u", 1, 0.5), ("b", "v", 0, 0.0))
    ]
    made = result(tmp_path, [*rows, {**rows[0], "split": "val", "id": "c"}])
    assert by_molecule(made, "score", []) == {"a": ("u", 0.75), "b": ("v", 0.0)}
    assert by_molecule(made, "exact", []) == {"a": ("u", 0.5), "b": ("v", 0.0)}
    assert by_molecule(made, "Diversity", []) == {}


def test_the_score_of_a_caption_is_its_loss_with_the_sign_turned(tmp_path):
    """Loss: (2 + 6) / (4 + 12) of all tokens; a resample weighs texts by their tokens, and so does the score."""
    rows = [("a", 2.0, 4), ("b", 6.0, 12)]
    predictions = {"id": ["a", "b"], "group": ["u", "v"], "nll": [r[1] for r in rows], "tokens": [r[2] for r in rows]}
    found = Result(tmp_path, 0, {"test/loss": 0.5, "test/score": -0.5}, {})
    found.predictions = {name: np.array(values) for name, values in predictions.items()}
    loss, score = (by_corpus(found, name, []) for name in ("loss", "score"))
    assert score.value == -0.5
    assert score.drawn == pytest.approx(-loss.drawn)
    assert score.added == pytest.approx(-loss.added)
    assert by_molecule(found, "score", []) == {}

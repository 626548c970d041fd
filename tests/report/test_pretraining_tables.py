"""Tables whose runs left metrics and no predictions, as older pretrainings did."""

import json

from molfusion.report.page import write

COSTS = [
    "parameters", "encoder_parameters", "trained_parameters", "steps", "wall_seconds", "molecules_per_second",
    "train_seconds", "peak_memory_mb",
]  # fmt: skip


def folder(tmp_path, task, metrics, targets=()):
    run = tmp_path / "only" / "row" / "seed0-1"
    run.mkdir(parents=True)
    data = {"card": "x", "title": "x", "licence": "x", "cite": "x", "records": {"train": 1}, "dropped": 0, "views": [],
            "targets": list(targets), "card_digest": "x"}  # fmt: skip
    cost = {**dict.fromkeys(COSTS, 1.0), "padding": {}}
    record = {"name": "x", "task": task, "encoder": "x", "metrics": metrics, "cost": cost, "data": data, "seed": 0,
              "config_digest": "x", "selected_by": "val/score", "provenance": {}}  # fmt: skip
    (run / "metrics.json").write_text(json.dumps(record))
    cell = {"key": "only/row/0", "table": "only", "row": "row", "seed": 0, "folder": "only/row/seed0-1", "needs": [],
            "parts": [], "control": "", "status": "done", "reason": ""}  # fmt: skip
    table = {"name": "only", "about": "", "headline": ["denoise", "score"], "baselines": []}
    plan = {"title": "t", "about": "", "file": "f", "command": "c", "seeds": [0], "tables": [table], "cells": [cell]}
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    return tmp_path


def test_a_pretraining_is_reported_by_its_losses(tmp_path):
    metrics = {"val/score": -2.0, "test/score": -2.5, "test/loss": 2.5, "test/denoise": 0.75}
    text = write(folder(tmp_path, "Pretraining", metrics)).with_suffix(".md").read_text()
    assert "| row | 0.750 | -2.500 |" in text
    assert "`score` is minus `loss`" in text
    assert "mean absolute error" not in text


def test_classes_are_scored_by_roc_auc(tmp_path):
    metrics = {"val/score": 0.7, "test/score": 0.8, "test/a/ROC-AUC": 0.8}
    target = {"name": "a", "unit": "", "kind": "classification", "spread": 0.5}
    text = write(folder(tmp_path, "Property", metrics, [target])).with_suffix(".md").read_text()
    assert "`score` is the mean ROC-AUC" in text

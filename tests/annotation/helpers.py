"""A sweep's folder as far as rating and reporting look at it, written by hand."""

import csv
import json

from molfusion.rows import write_rows

IDS = [f"c{i}" for i in range(12)]
COSTS = ["parameters", "encoder_parameters", "trained_parameters", "steps", "molecules_per_second", "train_seconds",
         "wall_seconds", "peak_memory_mb"]  # fmt: skip


def captions(folder, words, ids=IDS, prompt="Describe it."):
    """The predictions of a run that says `words` of every molecule; one of validation, which nobody rates."""
    rows = [
        {"split": split, "id": key, "group": f"g{int(key[1:]) // 2}", "smiles": "C" * (int(key[1:]) + 1), "prompt": prompt,
         "target": f"right {key}", "text": f"{words} {key}", "nll": 1.0, "tokens": 2}
        for split, key in [("val", "c99"), *(("test", key) for key in ids)]
    ]  # fmt: skip
    write_rows(rows, folder / "predictions.parquet")
    cost = dict.fromkeys(COSTS, 1)
    data = {"card": "x", "card_digest": "0", "title": "X", "licence": "CC0", "cite": "", "targets": [],
            "records": {"test": 12}, "dropped": 0}  # fmt: skip
    made = {"processor": "p", "cores": 1, "device": "cpu", "python": "3", "versions": {}, "molfusion": "0", "source_digest": "0"}
    record = {"task": "Captioning", "metrics": {"test/score": 1.0}, "cost": {**cost, "padding": {}}, "data": data,
              "provenance": made}  # fmt: skip
    (folder / "metrics.json").write_text(json.dumps(record))
    return folder


def sweep(folder):
    """Two rows with two seeds each, and a baseline."""
    cells = []
    for row, words in (("A", "red"), ("B", "blue")):
        for seed in (0, 1):
            home = f"told/{row}/seed{seed}"
            captions(folder / home, f"{words}{seed}")
            cells.append({
                "table": "told", "row": row, "seed": seed, "folder": home, "key": home, "needs": [], "parts": [], "control": "",
                "status": "done", "reason": "",
            })  # fmt: skip
    captions(folder / "told" / "baseline-nearest", "near")
    tables = [{"name": "told", "about": "", "headline": ["score"], "baselines": ["nearest"]}]
    plan = {"title": "T", "about": "", "file": "f.yaml", "command": "x", "seeds": [0, 1], "tables": tables, "cells": cells}
    (folder / "plan.json").write_text(json.dumps(plan))
    return folder


def lines(path):
    with path.open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def rate(sheet, out, rating, **dialect):
    """The sheet as somebody sends it back: `rating` of a line gives what it changes."""
    rows = [row | rating(row) for row in lines(sheet)]
    with out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), **dialect)
        writer.writeheader()
        writer.writerows(rows)
    return out

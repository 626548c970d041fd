"""A sweep's folder without a sweep: plan, sweep file, and runs with numbers that are written by hand."""

import csv
import json

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

COST = ["parameters", "encoder_parameters", "trained_parameters", "steps", "wall_seconds", "molecules_per_second",
        "train_seconds", "peak_memory_mb"]  # fmt: skip


def run(folder, task, metrics, rows=(), seed=0, log=(), seconds=1.0, targets=()):
    """One run: metrics.json, predictions.parquet of the test split, log.csv."""
    folder.mkdir(parents=True)
    data = {"card": "x", "title": "x", "licence": "x", "cite": "x", "records": {"train": 1}, "dropped": 0, "views": [],
            "targets": list(targets), "card_digest": "x"}  # fmt: skip
    cost = {**dict.fromkeys(COST, 1.0), "train_seconds": seconds, "padding": {}}
    record = {"task": task, "metrics": metrics, "cost": cost, "data": data, "seed": seed, "provenance": {}}
    (folder / "metrics.json").write_text(json.dumps(record))
    if rows:
        pq.write_table(pa.Table.from_pylist([{"split": "test", **row} for row in rows]), folder / "predictions.parquet")
    with (folder / "log.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["step", "epoch", "name", "value"], *log])


def sweep(folder, tables, spec=None, seeds=(0,), command="molfusion sweep my.yaml --out x"):
    """plan.json (and sweep.yaml) of tables {name: {row: {parts, control, baseline}}}, whose runs are made by `run`."""
    cells = [
        {"key": f"{table}/{row}/{seed}", "table": table, "row": row, "seed": seed, "folder": f"{table}/{row}/{seed}",
         "needs": [], "parts": said.get("parts", []), "control": said.get("control", ""), "status": "done", "reason": ""}
        for table, rows in tables.items() for row, said in rows.items() if not row.startswith("(") for seed in seeds
    ]  # fmt: skip
    listed = [
        {"name": table, "about": "", "headline": ["score"], "baselines": [r[1:-1] for r in rows if r.startswith("(")]}
        for table, rows in tables.items()
    ]
    about = {"title": "t", "about": "", "file": "my.yaml", "command": command, "seeds": list(seeds)}
    plan = {**about, "tables": listed, "cells": cells}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "plan.json").write_text(json.dumps(plan))
    if spec is not None:
        (folder / "sweep.yaml").write_text(yaml.safe_dump(spec, sort_keys=False))
    return folder


def made(id_, generated, score, sample=0, prompt="Make it.", smiles="CCO"):
    """A row of `Generation`."""
    return {"id": id_, "group": id_, "smiles": smiles, "sample": sample, "generated": generated, "valid": 1.0, "exact": 0.0,
            "maccs": score, "score": score, "prompt": prompt}  # fmt: skip


def asked(id_, direction, found, smiles, caption, better=0, candidates=3, vector=(1.0, 0.0)):
    """A row of `Retrieval`."""
    return {"id": id_, "group": id_, "scope": "all", "direction": direction, "pool": "all", "better": better, "tied": 0,
            "candidates": candidates, "found": found, "smiles": smiles, "caption": caption, "vector": list(vector)}  # fmt: skip


def said(id_, text, target="right", smiles="CCO", nll=2.0, tokens=4):
    """A row of `Captioning`."""
    return {"id": id_, "group": id_, "smiles": smiles, "prompt": "What is it?", "target": target, "text": text, "nll": nll,
            "tokens": tokens}  # fmt: skip

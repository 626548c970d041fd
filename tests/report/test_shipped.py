"""Of every sweep that ships, each table of several rows has a figure of them, whatever it varies."""

import re
from pathlib import Path

import pytest

from molfusion.paths import shipped
from molfusion.report.page import write
from molfusion.sweep.plan import plan
from molfusion.sweep.spec import read
from tests.report.fakes import asked, made, run, said, sweep
from tests.report.helpers import Page

ROOT = shipped("experiments") / "sweeps"
FILES = sorted(ROOT.rglob("*.yaml"))


def results(task, scale, classes):
    """Metrics and predictions that such a run leaves, with the targets of its card."""
    if "Retrieval" in task:
        rows = [asked(k, d, "CCO", "CCO", "It is.", better=i) for i, k in enumerate("ab") for d in ("m2t", "t2m")]
        return {"test/m2t/R@1": scale, "test/m2t/pool": 2, "test/score": scale}, rows, []
    if "Generation" in task:
        return {"test/maccs": scale, "test/score": scale}, [made(k, "CCO", scale * i) for i, k in enumerate("ab")], []
    if "Property" in task:
        target = {"name": "y", "unit": "", "kind": "classification" if classes else "regression", "spread": 1.0}
        rows = [{"id": k, "group": k, "target": "y", "predicted": scale, "measured": float(k == "a")} for k in "ab"]
        return {f"test/y/{'ROC-AUC' if classes else 'MAE'}": 0.5, "test/score": scale}, rows, [target]
    if "Pretraining" in task:
        return {"test/loss": scale, "test/score": -scale}, [], []
    return {"test/loss": scale, "test/score": -scale, "test/generated": 2}, [said(k, "It is.", nll=scale) for k in "ab"], []


def filled(file: Path, folder: Path):
    """A folder as the sweep leaves it, with runs that are made up; its tables by name, with their rows."""
    planned = plan(file, folder)
    tables = {t.name: {f"({b})": {} for b in t.baselines} | {r: {} for r in t.rows} for t in planned.tables}
    sweep(folder, tables, {"tables": read(file)["tables"]})
    for table in planned.tables:
        cells = {c.row: c for c in planned.cells if c.table == table.name}
        for i, (row, cell) in enumerate(cells.items(), 1):
            task = cell.config.tree["model"]["class_path"].rpartition(".")[2]
            metrics, rows, targets = results(task, i / 100, any("ROC-AUC" in name for name in table.headline))
            run(folder / table.name / row / "0", task, metrics, rows, targets=targets)
        for name in table.baselines:
            run(folder / table.name / f"baseline-{name}", task, metrics, targets=targets)
    return {table.name: table for table in planned.tables}


@pytest.mark.slow
@pytest.mark.parametrize("file", FILES, ids=lambda p: p.relative_to(ROOT).with_suffix("").as_posix())
def test_rows_are_drawn(file, tmp_path):
    tables = filled(file, tmp_path / "out")
    page = Page(write(tmp_path / "out").read_text())
    titles = [a["aria-label"].removesuffix(", figure") for a in page.named("figure") if "aria-label" in a]
    assert len(titles) == len(set(titles))
    varied = {name: read(file)["tables"][name].get("axes") for name in tables}
    for name, table in tables.items():
        drawn = [t.removeprefix(f"{name}: ") for t in titles if re.match(rf"{re.escape(name)}: (Results|By )", t)]
        several = len(table.rows) > 1
        assert bool(drawn) or not several, f"no figure of the rows of {name}"
        assert drawn.count("By row") + drawn.count("Results") <= 1, f"{name}: the same picture twice"
        assert any(t.startswith("By ") and t != "By row" for t in drawn) or not (several and varied[name])

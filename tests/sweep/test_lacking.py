"""A card without texts, or without numbers: what cannot be asked is n/a, and the rest has its report."""

import json
import re

import pytest
import yaml

from molfusion.data import MoleculeData
from molfusion.paths import shipped
from molfusion.report.results import load
from molfusion.sweep.lacking import lacks
from molfusion.tasks import Captioning, Property, Retrieval
from tests.contract import records
from tests.sweep.helpers import FILLED, PROPERTY, RETRIEVAL, ran, sweep, write

TEXTS = "card mine has no texts for Retrieval: name their column in its YAML (`columns: {text: …}`)"
NUMBERS = "card mine has no targets for Property: name their columns in its YAML (`targets: [{column: …}]`)"


@pytest.fixture
def only(tmp_path, cache, monkeypatch):
    """A card with texts alone, or with numbers alone."""
    monkeypatch.setenv("MOLFUSION_CACHE", str(cache))
    lines = [f"{i}\t{r.smiles}\tIt is molecule {i % 3}.\t{i}" for i, r in enumerate(records()[:16])]
    (tmp_path / "m.tsv").write_text("\n".join(["id\tsmiles\tsaid\tnumber", *lines]) + "\n")

    def card(what):
        given = {
            "name": "mine", "title": "a few", "licence": "CC0", "files": {"all": {"path": "m.tsv"}},
            "columns": {"id": "id", "smiles": "smiles"}, "split": {"by": "random", "fractions": [0.5, 0.25, 0.25], "seed": 0},
        }  # fmt: skip
        given["columns"] |= {"text": "said"} if what == "texts" else {}
        given |= {"targets": [{"column": "number"}]} if what == "numbers" else {}
        (tmp_path / f"{what}.yaml").write_text(yaml.safe_dump(given))
        return tmp_path / f"{what}.yaml"

    return card


def test_what_a_card_lacks(only):
    texts, numbers = MoleculeData(str(only("texts"))), MoleculeData(str(only("numbers")))
    assert lacks(Retrieval.needs, Retrieval, numbers) == TEXTS
    assert lacks(Captioning.needs, Captioning, numbers).startswith("card mine has no texts for Captioning")
    assert lacks(Property.needs, Property, texts) == NUMBERS
    assert lacks(Retrieval.needs, Retrieval, texts) == lacks(Property.needs, Property, numbers) == ""


def test_a_column_of_texts_that_is_empty(only, tmp_path):
    card = only("texts")
    rows = re.sub(r"It is molecule \d\.", " ", (tmp_path / "m.tsv").read_text())
    (tmp_path / "m.tsv").write_text(rows)
    assert lacks("texts", Retrieval, MoleculeData(str(card))) == TEXTS


def test_the_plan_says_what_cannot_be_asked(only, tmp_path, capsys):
    rows = {"set": {"model": RETRIEVAL}, "rows": {"FP": {}}}
    built_on = {"set": {"model": PROPERTY}, "rows_of": {"table": "retrieval", "set": FILLED}}
    file = write(tmp_path, only("numbers"), {"retrieval": rows, "property": built_on})
    assert sweep(file, tmp_path / "out", "--plan") == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == f"retrieval/FP/0  ->  n/a: {TEXTS}"
    assert second == "property/FP/0  ->  n/a: needs FP, which is n/a"
    assert sweep(file, tmp_path / "out", "--plan", "--data.card", str(only("texts"))) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert "n/a" not in first
    assert second == f"property/FP/0  ->  n/a: {NUMBERS}"


@pytest.mark.slow
@pytest.mark.parametrize(("what", "done"), [("texts", {"retrieval", "captioning"}), ("numbers", {"probe", "property"})])
def test_the_comparison_on_own_data_ends_with_a_report(what, done, only, tmp_path):
    """One row a table of own_data.yaml, a step each."""
    kept = {"retrieval": "GIN", "probe": "UniMol, random weights", "property": "UniMol", "captioning": "Text alone"}
    known = yaml.safe_load(shipped("experiments/sweeps/side_by_side.yaml").read_text())["tables"]
    tables = {name: {"rows": {row: None for row in known[name]["rows"] if row != keep}} for name, keep in kept.items()}
    file = tmp_path / "small.yaml"
    beside = str(shipped("experiments/sweeps/own_data.yaml"))
    tables |= {"autoencode": None, "generation": None}
    file.write_text(yaml.safe_dump({"extends": beside, "seeds": [0], "tables": tables}))
    few = [*("--trainer.max_epochs", "1"), *("--trainer.check_val_every_n_epoch", "1"), *("--trainer.limit_train_batches", "1")]
    code, told, cells = ran(file, tmp_path / "out", "--data.card", str(only(what)), *few)
    assert code == 0
    assert {c["table"] for c in cells.values() if c["status"] == "done"} == done
    assert {c["status"] for c in cells.values()} == {"done", "n/a"}
    assert "cannot be asked: card mine has no" in told.partition("[1/")[0]  # before anything runs
    assert (tmp_path / "out" / "report.html").is_file()
    for table in load(tmp_path / "out").tables:
        for row in (row for row in table.rows if row.baseline):
            folder = tmp_path / "out" / table.name / f"baseline-{row.label.strip('()')}"
            if table.name not in done:
                assert [(status, why.startswith("card mine has no")) for _, status, why in row.missing] == [("n/a", True)]
                assert not (folder / "predictions.parquet").exists()


def test_predictions_without_a_row(tmp_path):
    """As an older version left them: a file without columns."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    home = tmp_path / "t" / "baseline-mean"
    home.mkdir(parents=True)
    pq.write_table(pa.table({}), home / "predictions.parquet")
    (home / "metrics.json").write_text(json.dumps({"metrics": {}, "task": "Property"}))
    table = {"name": "t", "about": "", "headline": [], "baselines": ["mean"]}
    plan = {"title": "", "about": "", "file": "", "command": "", "seeds": [0], "tables": [table], "cells": []}
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    assert load(tmp_path).tables[0].rows[0].results[0].predictions == {}

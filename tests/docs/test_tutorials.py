"""The tutorials and the examples of extending, from top to bottom, with fewer steps."""

import csv
import json
import runpy
import sys
from importlib import import_module
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
import yaml

from molfusion.cli import main
from molfusion.encoders import GIN, Fingerprint
from tests import contract
from tests.docs.blocks import DOCS, blocks, commands

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not DOCS.is_dir(), reason="not in a checkout")]
SHORT = [
    "--trainer.max_epochs=1", "--trainer.check_val_every_n_epoch=1", "--trainer.limit_train_batches=2",
    "--trainer.limit_val_batches=1", "--trainer.limit_test_batches=1", "--trainer.accelerator=cpu",
]  # fmt: skip


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder to work in, whose own packages are forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield tmp_path
    for name in [n for n in sys.modules if n.split(".")[0] == "mylab"]:
        del sys.modules[name]


def follow(name: str, capsys) -> None:
    """Save the files of a page and give its commands, in order."""
    done = 0
    for block in blocks(DOCS / f"{name}.md"):
        if block.file:
            Path(block.file).parent.mkdir(parents=True, exist_ok=True)
            Path(block.file).write_text(block.text)
        for words in commands(block) if block.language == "sh" else []:
            done += 1
            if words[0] == "python":
                runpy.run_path(words[1], run_name="__main__")
                continue
            assert words[0] == "molfusion", words
            extra = SHORT if words[1] in {"fit", "sweep"} else []
            once = ["--only", "seed=0"] if words[1] == "sweep" and "--only" not in words else []
            assert main([*words[1:], *extra, *once]) == 0, f"{words}: {capsys.readouterr().err}"
    assert done


def test_first_fit(here, capsys):
    follow("tutorials/first_fit", capsys)
    assert {"config.yaml", "metrics.json", "predictions.parquet", "log.csv", "encoder.yaml", "encoder.safetensors"} <= {
        path.name for path in (here / "runs" / "first").iterdir()
    }
    assert set(json.loads((here / "runs" / "first" / "reliance.json").read_text())["graph"]) == {"shuffle", "blank", "twin"}


def test_own_data(here, capsys):
    follow("tutorials/own_data", capsys)
    page = (here / "runs" / "compare" / "report.html").read_text()
    for told in ("QFormer(GIN)", "GIN, continued", "(ridge)", "Is each input used", "logP"):
        assert told in page, told
    record = json.loads((here / "runs" / "plain" / "metrics.json").read_text())
    assert sum(record["data"]["records"].values()) == 240


KINDS = {  # what a CSV has, and by the tutorial what to leave out of it, of the card and of the comparison
    "text": (["logP"], "targets", "property"),
    "numbers": (["description"], "text", "retrieval"),
}
CELLS = {"text": ("retrieval", "GIN"), "numbers": ("property", "MoleBLEND (bonds)")}


@pytest.fixture(params=KINDS)
def half(request, here, capsys):
    """The tutorial's files where a CSV has texts alone, or numbers alone; which, and the tables that are left."""
    for block in blocks(DOCS / "tutorials" / "own_data.md"):
        if block.file:
            Path(block.file).write_text(block.text)
    runpy.run_path("make_csv.py", run_name="__main__")
    columns, key, table = KINDS[request.param]
    molecules = here / "molecules.csv"
    with molecules.open(newline="") as file:
        rows = list(csv.DictReader(file))
    with molecules.open("w", newline="") as file:
        writer = csv.DictWriter(file, [c for c in rows[0] if c not in columns], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    card, compare = (yaml.safe_load(Path(name).read_text()) for name in ("mine.yaml", "compare.yaml"))
    (card if key in card else card["columns"]).pop(key)
    del compare["tables"][table]
    Path("mine.yaml").write_text(yaml.safe_dump(card))
    Path("compare.yaml").write_text(yaml.safe_dump(compare, sort_keys=False))
    return request.param, list(compare["tables"])


def done(folder: str) -> set[tuple[str, str]]:
    """Table and row of what ran; nothing failed."""
    cells = json.loads(Path(folder, "plan.json").read_text())["cells"]
    assert {c["status"] for c in cells} == {"done"}
    return {(c["table"], c["row"]) for c in cells}


def test_a_csv_of_texts_or_of_numbers_alone(half, capsys):
    """Its card is sound, the comparison that is left runs whole, baselines and report included."""
    kind, tables = half
    for words in (["cards", "mine.yaml"], ["cards", "check", "mine.yaml"]):
        assert main(words) == 0, capsys.readouterr().err
    assert main(["sweep", "compare.yaml", "--only", "seed=0", "--out", "out", *SHORT]) == 0, capsys.readouterr().err
    rows = ("Fingerprint", "GIN", "GIN, continued", "QFormer(GIN)")
    assert done("out") == {(table, row) for table in tables for row in rows}
    page = Path("out/report.html").read_text()
    assert "logP/MAE" in page if kind == "numbers" else "m2t/R@1" in page
    found = [json.loads(path.read_text())["metrics"] for path in Path("out").rglob("baseline-*/metrics.json")]
    assert len(found) == 3
    assert all("test/score" in metrics for metrics in found)


def test_the_side_by_side_on_a_csv_of_ones_own(half, capsys):
    """One row of what needs no second file."""
    table, row = CELLS[half[0]]
    only = ["--only", f"table={table}", "--only", f"row={row}", "--only", "seed=0"]
    words = ["sweep", "own_data.yaml", "--data.card", "mine.yaml", *only, "--out", "out", *SHORT]
    assert main(words) == 0, capsys.readouterr().err
    assert done("out") == {(table, row)}


def test_sweep(here, capsys):
    follow("tutorials/sweep", capsys)
    plan = json.loads((here / "runs" / "queries" / "plan.json").read_text())
    done = {c["row"] for c in plan["cells"] if c["status"] == "done"}
    assert done == {"GIN", "QFormer queries=1", "QFormer queries=8"}


def test_predictions(here, capsys):
    follow("tutorials/predictions", capsys)
    with (here / "gaps.csv").open() as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    assert set(rows) == {"ethanol", "benzene", "typo", "acetone"}
    assert rows["typo"]["problem"]
    assert not rows["typo"]["gap"]
    assert all(float(rows[name]["gap"]) and not rows[name]["problem"] for name in ("ethanol", "benzene", "acetone"))


def test_after_training(here, capsys):
    follow("tutorials/after_training", capsys)
    rows = pq.read_table(here / "vectors.parquet").to_pylist()
    assert [(r["id"], r["row"], r["vector"] is None) for r in rows] == [
        ("ethanol", 1, False), ("benzene", 2, False), ("typo", 3, True), ("acetone", 4, False), ("1", None, False)
    ]  # fmt: skip
    assert "<svg" in (here / "found-1.svg").read_text()
    with (here / "captions.csv").open() as file:
        assert [bool(row["problem"]) for row in csv.DictReader(file)] == [False, False, True, False]
    with (here / "made.csv").open() as file:
        made = list(csv.DictReader(file))
    assert {row["prompt"] for row in made} == {"It is an alcohol.", "It has an aromatic ring."}
    assert all(bool(row["smiles"]) != bool(row["problem"]) for row in made)
    with (here / "why.csv").open() as file:
        why = {row["id"]: row for row in csv.DictReader(file)}
    assert {name: len(json.loads(row["atoms"] or "[]")) for name, row in why.items()} == {
        "ethanol": 3, "benzene": 6, "acetone": 4, "typo": 0
    }  # fmt: skip
    assert why["typo"]["problem"]
    assert "<svg" in (here / "why" / "ethanol.svg").read_text()


def test_rating(here, capsys):
    follow("tutorials/rating", capsys)
    page = (here / "runs" / "told" / "report.html").read_text()
    assert "Rated by people" in page
    assert "rated more than once" in page


def test_encoder(here, capsys):
    follow("extending/encoder", capsys)
    _holds(import_module("mylab.reader").Reader)


def test_fusion(here, capsys):
    follow("extending/fusion", capsys)
    beside = import_module("mylab.beside").Beside
    _holds(lambda: beside(GIN(dim=16, layers=2), Fingerprint(dim=16, hidden=32, bits=128, dropout=0.0)))


def test_task(here, capsys):
    follow("extending/task", capsys)
    rows = pq.read_table(here / "runs" / "size" / "predictions.parquet").to_pylist()
    assert {"id", "told", "right", "score"} <= rows[0].keys()
    assert all(row["right"] >= 1 for row in rows)


def test_dataset(here, capsys):
    (here / "train.csv").write_text(
        "name,SMILES,note,logS,soluble\n" + "\n".join(f"m{n},{'C' * n}O,an alcohol,{-n / 2},{int(n < 4)}" for n in range(1, 9))
    )
    (here / "test.csv").write_text(
        "name,SMILES,note,logS,soluble\na,CCN,an amine,-1,1\nb,CCCN,an amine,,1\nc,CCCCN,an amine,-3,0\n"
    )
    (page,) = [b for b in blocks(DOCS / "extending" / "dataset.md") if b.file]
    (here / page.file).write_text(page.text)
    assert main(["cards", page.file]) == 0
    said = capsys.readouterr().out
    assert "logS (log(mol/L)), regression" in said
    assert "'train': 6, 'val': 2, 'test': 3}; 0 rows left out" in said


def _holds(make) -> None:
    for check in (contract.check_shape, contract.check_alone, contract.check_train_is_eval, contract.check_moves):
        check(make())
    for precision in (torch.float32, torch.bfloat16):
        contract.check_gradients(make(), precision)
    contract.check_round_trip(make(), make())

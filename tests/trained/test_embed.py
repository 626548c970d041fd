"""Vectors of molecules and texts, from Python and from the command line."""

import csv
import json
import subprocess
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

import molfusion
from molfusion.cli import main
from molfusion.data.asked import read_smiles
from molfusion.encoders.base import NotApplicable
from molfusion.errors import MolfusionError
from molfusion.nn.pooling import masked_mean
from molfusion.views.batches import batch_of
from tests.contract import records

GIVEN = ["CCO", "c1ccc", "", "C[N+](C)(C)C", "CC(=O)O", "not a molecule"]


def test_read_smiles_numbers_them_and_loses_nobody():
    found = read_smiles(["CCO", "C1CC", float("nan"), "OCC"])
    assert [(r.id, r.smiles, r.canonical) for r in found.records] == [("1", "CCO", "CCO"), ("4", "OCC", "CCO")]
    assert [(d.id, d.reason) for d in found.dropped][1] == ("3", "a SMILES is text; this is float")
    assert "C1CC" in found.dropped[0].reason


def test_each_molecule_has_a_row_in_its_place(runs):
    run = molfusion.load(runs / "towers")
    rows = run.embed(GIVEN)
    assert [row["id"] for row in rows] == [str(n) for n in range(1, len(GIVEN) + 1)]
    assert [bool(row["problem"]) for row in rows] == [False, True, True, False, False, True]
    assert rows[2]["problem"] == "the SMILES is empty"
    vectors = np.array([row["vector"] for row in rows if not row["problem"]])
    assert vectors.shape == (3, 16)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert all("vector" not in row for row in rows if row["problem"])


def test_nobody_at_all(runs):
    run = molfusion.load(runs / "towers")
    assert run.embed([]) == []
    assert [row["problem"] for row in run.embed([""])] == ["the SMILES is empty"]


def test_vectors_are_those_of_the_aligned_space(runs):
    run = molfusion.load(runs / "towers")
    some = [r for r in records() if r.text][:3]
    towers = run.model.towers
    batch = batch_of(some, run.model.views)
    expected = towers.embed_molecules(batch)[:, 0], towers.embed_texts(batch)
    found = run.embed([r.smiles for r in some]), run.embed_texts([r.text for r in some])
    for rows, vectors in zip(found, expected, strict=True):
        assert torch.allclose(torch.tensor([row["vector"] for row in rows]), vectors, atol=1e-5)


def test_several_vectors_of_a_molecule_become_their_mean(runs):
    run = molfusion.load(runs / "queries")
    (row,) = run.embed(["CCO"])
    queries = run.model.towers.embed_molecules(batch_of(read_smiles(["CCO"]).records, run.model.encoder.views))[0]
    assert queries.shape == (2, 16)
    mean = queries.mean(0)
    assert torch.allclose(torch.tensor(row["vector"]), mean / mean.norm(), atol=1e-5)


def test_other_runs_and_encoders_alone_give_the_mean_of_their_tokens(runs):
    whole, alone = molfusion.load(runs / "numbers"), molfusion.load(runs / "numbers" / "encoder.yaml")
    tokens = whole.encoder(batch_of(read_smiles(["CCO"]).records, whole.encoder.views))
    expected = masked_mean(*tokens)[0].tolist()
    for run in (whole, alone):
        (row,) = run.embed(["CCO"])
        assert row["vector"] == pytest.approx(expected, abs=1e-5)


def test_an_exported_text_encoder_reads_texts(runs):
    run = molfusion.load(runs / "towers" / "text.yaml")
    rows = run.embed_texts(["It is an alcohol.", " ", "It is aromatic."])
    assert [row["problem"] for row in rows] == ["", "the text is empty", ""]
    assert len(rows[0]["vector"]) == 32
    assert rows[0]["vector"] != rows[2]["vector"]
    with pytest.raises(NotApplicable, match="TextEncoder reads texts, not molecules"):
        run.embed(["CCO"])


@pytest.mark.parametrize("name", ["numbers", "captions", "towers/encoder.yaml"])
def test_without_a_text_side(runs, name):
    with pytest.raises(NotApplicable, match="which has no text side"):
        molfusion.load(runs / name).embed_texts(["It is an alcohol."])


def test_an_encoder_alone_answers_nothing_else(runs):
    run = molfusion.load(runs / "towers" / "encoder.yaml")
    with pytest.raises(NotApplicable, match="is an encoder alone; retrieve needs one of Retrieval"):
        run.retrieve(["CCO"])
    with pytest.raises(NotApplicable, match="predict needs the folder of a run"):
        run.predict(["CCO"])


def test_what_is_no_run(tmp_path):
    with pytest.raises(MolfusionError, match="is not the folder of a run"):
        molfusion.load(tmp_path)


def test_the_card_may_be_gone(runs, card, tmp_path):
    """A run is asked about SMILES where the data it was trained on are not."""
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    text = (runs / "towers" / "config.yaml").read_text()
    (tmp_path / "run" / "config.yaml").write_text(text.replace(card.name, "gone.yaml"))
    (tmp_path / "run" / "checkpoints" / "best.ckpt").write_bytes((runs / "towers" / "checkpoints" / "best.ckpt").read_bytes())
    run = molfusion.load(tmp_path / "run")
    assert run.embed(["CCO"])[0]["problem"] == ""
    with pytest.raises(MolfusionError, match="no data card"):
        run.embed()


def test_one_molecule_at_fault_does_not_take_the_others_along(runs):
    """Whatever a model raises on a batch is raised again by the one molecule that is to blame."""
    run = molfusion.load(runs / "numbers", overrides=["data.batch_size=4"])
    task, forward = run.model, run.model.predictions

    def fails(batch):
        if "CCN" in batch.smiles:
            raise RuntimeError("out of positions\nadvice")
        return forward(batch)

    task.predictions = fails
    rows = run.predict(["CCO", "CCN", "CCC", "CCCC", "CCCCC"])
    assert [row["problem"] for row in rows] == ["", "RuntimeError: out of positions", "", "", ""]
    assert all(np.isfinite(row["number"]) for row in rows if not row["problem"])


def test_a_file_is_answered_line_by_line(runs, tmp_path):
    (tmp_path / "new.csv").write_text("name,SMILES\nethanol,CCO\ntypo,c1cccc\nbenzene,c1ccccc1\nacid,CC(=O)O\n")
    rows = molfusion.load(runs / "towers").embed(tmp_path / "new.csv")
    assert [row["id"] for row in rows] == ["ethanol", "typo", "benzene", "acid"]
    assert [row["row"] for row in rows] == [1, 2, 3, 4]  # of the file: a column beside its own
    assert [bool(row["problem"]) for row in rows] == [False, True, False, False]


def embed(runs, name, *words):
    return main(["embed", "--run", str(runs / name), *map(str, words)])


def test_the_command(runs, tmp_path, capsys):
    out = tmp_path / "out.parquet"
    (tmp_path / "texts.txt").write_text("It is aromatic.\n\n")
    texts = ["--text", "It is an acid.", "--texts", tmp_path / "texts.txt"]
    assert embed(runs, "towers", "--out", out, *texts, "CC(=O)O", "C=C", "C1CC") == 0
    rows = pq.read_table(out).to_pylist()
    assert [(r["smiles"], r["text"]) for r in rows] == [
        ("CC(=O)O", ""), ("C=C", ""), ("C1CC", ""), ("", "It is an acid."), ("", "It is aromatic.")
    ]  # fmt: skip
    assert [r["vector"] is None for r in rows] == [False, False, True, False, False]
    told = capsys.readouterr()
    assert f"{out}: 4 of 5" in told.out
    assert "1 without an answer, in `problem` why; the first: not a SMILES: 'C1CC'" in told.err


def test_texts_alone_and_csv(runs, tmp_path):
    out = tmp_path / "out.csv"
    assert embed(runs, "towers", "--text", "It is an acid.", "--out", out) == 0
    with out.open() as file:
        (row,) = csv.DictReader(file)
    assert len(json.loads(row["vector"])) == 16


def test_the_runs_own_card_and_default_place(runs, capsys):
    assert embed(runs, "towers", "--data.batch_size", "5") == 0
    rows = pq.read_table(runs / "towers" / "embedded.parquet").to_pylist()
    assert [r["id"] for r in rows] == [f"c{i}" for i in range(24)]


def test_nothing_that_has_a_vector(runs, tmp_path, capsys):
    for name in ("out.csv", "out.parquet"):
        assert embed(runs, "towers", "C1CC", "--out", tmp_path / name) == 1
        assert (tmp_path / name).is_file()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["CCO", "--data.card", "demo"], "both --data.card and SMILES"),
        (["--texts", "nowhere.txt"], "no text file nowhere.txt"),
        (["CCO", "--data.batchsize", "3"], "MoleculeData has no argument 'batchsize'; did you mean 'batch_size'?"),
        (["CCO", "--checkpoint", "nowhere.ckpt"], "no checkpoint nowhere.ckpt"),
        (["--data.card", "{empty}"], "has a header but no rows"),
        (["{empty}"], "is a file, not a SMILES: give it as --data.card"),
        (["CCO", "nowhere.csv"], "no such file: nowhere.csv"),
        (["some/nowhere.smi.gz"], "no such file: some/nowhere.smi.gz"),
        (["CCO", "--out", "vectors.txt"], "expected a name that ends in .csv or .parquet"),
        (["CCO", "--trainer.accelerator", "gpu"], "trainer.accelerator: No supported gpu backend found: set it to cpu"),
    ],
)
def test_what_embed_refuses(runs, tmp_path, words, message, capsys, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    empty = tmp_path / "empty.csv"
    empty.write_text("id,smiles\n")
    assert embed(runs, "towers", *(w.format(empty=empty) for w in words)) == 2
    assert message in capsys.readouterr().err


def test_importing_stays_cheap():
    code = "import sys, molfusion; assert 'torch' not in sys.modules and 'rdkit' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)

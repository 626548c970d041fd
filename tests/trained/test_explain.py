"""Which atoms counted, of anybody's molecules."""

import contextlib
import csv
import io
import json

import numpy as np
import pyarrow.parquet as pq
import pytest

import molfusion
from molfusion.chem.parse import parse
from molfusion.cli import main
from molfusion.config import ConfigError
from molfusion.encoders.base import NotApplicable
from tests.tasks.helpers import QFORMER, TEXT, UNIMOL, fit
from tests.trained.conftest import LM

E3FP = {"class_path": "molfusion.encoders.E3FPTokens", "init_args": {"dim": 16, "shells": {"bits": 256}}}


@pytest.fixture(scope="module")
def readers(card, cache, tmp_path_factory):
    """Folder with runs `numbers`, `captions` and `towers` of models that read E3FP tokens."""
    folder = tmp_path_factory.mktemp("readers")
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()):
        patch.setenv("MOLFUSION_CACHE", str(cache))
        fit(folder / "numbers", card, "Property", encoder=E3FP, epochs=1)
        fit(folder / "captions", card, "Captioning", encoder=E3FP, lm=LM, epochs=1, decoding={"max_new_tokens": 8}, samples=1,
            test_samples=1)  # fmt: skip
        fit(folder / "towers", card, "Retrieval", encoder=E3FP, text=TEXT, width=16, epochs=1)
    return folder


def test_what_a_property_says_of_smiles(readers, tmp_path):
    run = molfusion.load(readers / "numbers")
    told = []
    run.progress = lambda *what: told.append(what)
    rows = run.explain(["CCO", "C1CC", "c1ccccc1"], out=tmp_path)
    assert [row["id"] for row in rows] == ["1", "2", "3"]
    assert "C1CC" in rows[1]["problem"]
    assert "atoms" not in rows[1]
    for row in (rows[0], rows[2]):
        assert (row["problem"], row["answers"]) == ("", "generated")
        assert len(row["atoms"]) == len(row["shells"]) == parse(row["smiles"]).GetNumAtoms()
        assert any(row["atoms"])
        assert np.sum(row["shells"]) == pytest.approx(np.sum(row["atoms"]), abs=1e-6)
        assert "<svg" in (tmp_path / row["drawing"]).read_text()
    assert told[-1] == ("molecules", 2, 2)
    (before,) = run.predict(["CCO"])
    standard = (before["number"] - run.model.mean[0].item()) / run.model.std[0].item()
    logit = np.log(before["class"] / (1 - before["class"]))
    assert rows[0]["rightness"] == pytest.approx((standard + logit) / 2, abs=1e-4)


def test_the_caption_it_writes_itself(readers, tmp_path):
    (tmp_path / "new.csv").write_text("name,SMILES\nethanol,CCO\ntypo,c1cccc\nbenzene,c1ccccc1\n")
    run = molfusion.load(readers / "captions")
    rows = run.explain(tmp_path / "new.csv", out=tmp_path)
    assert [(row["id"], bool(row["problem"])) for row in rows] == [("ethanol", False), ("typo", True), ("benzene", False)]
    assert [row["text"] for row in rows[::2]] == [row["text"] or " " for row in run.caption(tmp_path / "new.csv")[::2]]
    (other,) = run.explain(["CCO"], text="It is an alcohol.", out=tmp_path)
    assert (other["text"], other["answers"]) == ("It is an alcohol.", "given")
    assert other["atoms"] != rows[0]["atoms"]


def test_retrieval_needs_a_text(readers, tmp_path):
    run = molfusion.load(readers / "towers")
    (none,) = run.explain(["CCO"], out=tmp_path)
    assert none["problem"] == "there is no right text to explain: give one"
    (row,) = run.explain(["CCO"], text="It is an alcohol.", out=tmp_path)
    molecule, text = run.embed(["CCO"])[0]["vector"], run.embed_texts(["It is an alcohol."])[0]["vector"]
    assert row["rightness"] == pytest.approx(np.dot(molecule, text), abs=1e-5)


@pytest.mark.parametrize("name", ["numbers", "captions", "towers"])
def test_given_answers_of_a_card_are_those_of_the_run(readers, card, tmp_path, name):
    """By name, as of any card; c3 of `numbers` has a class only, and nobody is without an answer."""
    run = molfusion.load(readers / name)
    own = run.explain(out=tmp_path, most=2)
    assert [row["id"] for row in own] == ["c20", "c21"]
    every = {row["id"]: row for row in run.explain(str(card), answers="given", out=tmp_path)}
    assert len(every) == 24
    assert not any(row["problem"] for row in every.values())
    for row in own:
        assert row["rightness"] == pytest.approx(every[row["id"]]["rightness"], abs=1e-5)
        assert row["atoms"] == pytest.approx(every[row["id"]]["atoms"], abs=1e-5)


def test_a_molecule_without_a_value(readers, tmp_path):
    (tmp_path / "new.csv").write_text("id,smiles,number,class\na,CCO,0.5,\nb,CCN,,\n")
    (tmp_path / "new.yaml").write_text(
        "name: new\ntitle: New\nlicence: none\nfiles: {test: {path: new.csv}}\ncolumns: {id: id, smiles: smiles}\n"
        "targets: [{column: class, kind: classification}, {column: number, unit: eV}]\n"
    )
    rows = molfusion.load(readers / "numbers").explain(tmp_path / "new.yaml", answers="given", out=tmp_path)
    assert rows[0]["problem"] == ""
    assert rows[1]["problem"] == "there is no right value to explain: ask for generated answers"


MOLEBLEND = {
    "class_path": "molfusion.encoders.MoleBlend",
    "init_args": {"dim": 16, "layers": 2, "ffn": 16, "heads": 2, "kernels": 8},
}
OTHERS = {  # the other strategies' encoders, each under a task that it is trained by
    "3d-molm": ("Retrieval", {"encoder": {**QFORMER, "init_args": {**QFORMER["init_args"], "encoder": UNIMOL}}}),
    "moleblend": ("Property", {"encoder": MOLEBLEND, "readout": "token"}),
    "3m-diffusion": ("Captioning", {
        "encoder": {"class_path": "molfusion.encoders.GIN", "init_args": {"dim": 16, "layers": 2}}, "lm": LM,
        "decoding": {"max_new_tokens": 8}, "samples": 1, "test_samples": 1,
    }),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_every_strategy_points_at_atoms(name, card, tmp_path):
    task, settings = OTHERS[name]
    fit(tmp_path / "run", card, task, epochs=1, **settings)
    run = molfusion.load(tmp_path / "run")
    text = None if task == "Property" else "It is an alcohol."
    for row, atoms in zip(run.explain(["CCO", "OC(=O)c1ccccc1"], text=text, out=tmp_path), [3, 9], strict=True):
        assert row["problem"] == ""
        assert (len(row["atoms"]), row["shells"], row["pictures"]) == (atoms, [], [])
        assert all(row["atoms"])
        assert "<svg" in (tmp_path / row["drawing"]).read_text()
    if task == "Retrieval":
        (row,) = run.explain(["CCO"], text=text, method="attention", out=tmp_path)
        assert 0 < sum(row["atoms"]) < 1  # [CLS] and [SEP] are read too
    assert explain(tmp_path / "run", "--molecules", "2", "--deletion", "4") == 0
    assert json.loads((tmp_path / "run" / "explain" / "deletion.json").read_text())["molecules"] == 4


def explain(run, *words):
    return main(["explain", "--run", str(run), *map(str, words)])


def test_the_command(readers, tmp_path, capsys):
    out = tmp_path / "why.csv"
    assert explain(readers / "numbers", "C=CO", "C1CC", "--out", out) == 0
    with out.open() as file:
        first, second = csv.DictReader(file)
    assert len(json.loads(first["atoms"])) == 3
    assert (first["problem"], second["atoms"]) == ("", "")
    assert second["problem"]
    assert {path.name for path in (tmp_path / "why").iterdir()} == {"1.svg", "1.png"}
    told = capsys.readouterr()
    assert f"1: {tmp_path / 'why' / '1.svg'}, own answer, " in told.out
    assert f"{out}: 1 of 2" in told.out
    assert "1 without an answer" in told.err


def test_other_molecules_leave_the_runs_own_alone(readers, tmp_path):
    """The report of a sweep shows explain/."""
    run = readers / "towers"
    (tmp_path / "new.smi").write_text("CCO a\nC1CC b\n")
    assert explain(run, "--molecules", "2") == 0
    before = {path.name: path.read_bytes() for path in (run / "explain").iterdir()}
    assert {"grounding.json", "molecules.parquet", "c20.svg"} <= before.keys()
    assert main(["explain", str(run), "--data.card", str(tmp_path / "new.smi"), "--text", "It is an alcohol."]) == 0
    rows = pq.read_table(run / "explained" / "molecules.parquet").to_pylist()
    assert [(row["id"], row["drawing"]) for row in rows] == [("a", "a.svg"), ("b", None)]
    assert {path.name: path.read_bytes() for path in (run / "explain").iterdir()} == before


@pytest.mark.parametrize(
    ("name", "words", "message"),
    [
        ("numbers", ["CCO", "--id", "c20"], "--id, --molecules and --split choose among the run's own"),
        ("numbers", ["--data.card", "demo", "--split", "val"], "--id, --molecules and --split choose among the run's own"),
        ("numbers", ["--id", "nobody"], "no molecule 'nobody' in the test split of small; such as 'c20'"),
        ("numbers", ["CCO", "--method", "attention"], "attention needs a QFormer or a CrossAttention"),
        ("numbers", ["--data.card", "demo", "--answers", "given"], "has no target 'number'"),
        ("towers", ["CCO", "--answers", "generated"], "Retrieval generates none"),
        ("towers", ["--text", "It is an alcohol."], "the run's own molecules have texts of their own"),
        ("towers", ["CCO", "--data.card", "demo"], "both --data.card and SMILES"),
    ],
)
def test_what_explain_refuses(readers, name, words, message, capsys):
    assert explain(readers / name, *words) == 2
    assert message in capsys.readouterr().err


def test_without_a_run(capsys):
    assert main(["explain"]) == 2
    assert "say which run: molfusion explain --run FOLDER" in capsys.readouterr().err


def test_refusals_in_python(readers, runs):
    with pytest.raises(NotApplicable, match="this model's encoders are: Fingerprint"):
        molfusion.load(runs / "numbers").explain(["CCO"])
    with pytest.raises(NotApplicable, match="explain needs the folder of a run"):
        molfusion.load(readers / "numbers" / "encoder.yaml").explain(["CCO"])
    with pytest.raises(NotApplicable, match="`text` is the right answer of Captioning or Retrieval"):
        molfusion.load(readers / "numbers").explain(["CCO"], text="It is an alcohol.")
    with pytest.raises(ConfigError, match="`ids` choose among the run's own molecules"):
        molfusion.load(readers / "numbers").explain(["CCO"], ids=["c20"])

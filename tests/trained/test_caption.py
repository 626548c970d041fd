"""What a language model says of molecules, and what `predict` makes of all tasks."""

import pyarrow.parquet as pq
import pytest

import molfusion
from molfusion.cli import main
from molfusion.encoders.base import NotApplicable
from molfusion.views.prompt import PromptError


def test_each_molecule_has_a_row(runs):
    rows = molfusion.load(runs / "captions").caption(["CCO", "C1CC", "c1ccccc1"])
    assert [row["id"] for row in rows] == ["1", "2", "3"]
    assert [row["problem"] == "" for row in rows] == [True, False, True]
    assert rows[0]["prompt"] == "Describe the molecule."
    assert isinstance(rows[0]["text"], str)


def test_they_are_those_of_the_run(runs):
    told = {r["id"]: r["text"] for r in pq.read_table(runs / "captions" / "predictions.parquet").to_pylist() if r["text"]}
    found = {row["id"]: row["text"] for row in molfusion.load(runs / "captions").caption()}
    assert len(found) == 24
    assert {key: found[key] for key in told} == told


def test_a_question_of_ones_own(runs, monkeypatch):
    run = molfusion.load(runs / "captions")
    seen = []
    decode = run.model.lm.generate_ids

    def watched(soft, prompts, *rest):
        seen.append(prompts.after[0][prompts.after_mask[0]].tolist())
        return decode(soft, prompts, *rest)

    monkeypatch.setattr(run.model.lm, "generate_ids", watched)
    (row,) = run.caption(["CCO"], prompt="How many rings?")
    assert row["prompt"] == "How many rings?"
    view = run.model.lm.view
    assert seen[0] == view._ids("\nHow many rings?\n")
    run.caption(["CCO"], prompt="A {molecule} is an")
    assert seen[1] == view._ids(" is an")
    assert run.model.lm.view == view  # for the time being only
    run.caption(["CCO"])
    assert seen[2] == view._ids("\nDescribe the molecule.\n")


def test_a_prompt_that_is_too_long_is_one_molecules_problem(runs, tmp_path):
    (tmp_path / "asked.csv").write_text("id,smiles,prompt\na,CCO,Short?\nb,CCN," + "How long is it? " * 60 + "\nc,CCC,\n")
    (tmp_path / "asked.yaml").write_text(
        "name: asked\ntitle: Asked\nlicence: none\nfiles: {test: {path: asked.csv}}\n"
        "columns: {id: id, smiles: smiles, prompt: prompt}\n"
    )
    rows = molfusion.load(runs / "captions").caption(tmp_path / "asked.yaml")
    assert [row["id"] for row in rows] == ["a", "b", "c"]
    assert "which leaves no room within lm.length 64" in rows[1]["problem"]
    assert [row["prompt"] for row in rows if not row["problem"]] == ["Short?", "Describe the molecule."]


def test_refusals(runs):
    with pytest.raises(NotApplicable, match="is a run of Property; caption needs one of Captioning"):
        molfusion.load(runs / "numbers").caption(["CCO"])
    fixed = molfusion.load(runs / "captions", overrides=["model.lm.prompt='It is {molecule}.'"])
    with pytest.raises(NotApplicable, match=r"has no \{question\}: give a whole prompt, with"):
        fixed.caption(["CCO"], prompt="How many rings?")
    with pytest.raises(PromptError, match=r"write \{molecule\} once"):
        fixed.caption(["CCO"], prompt="{molecule} {molecule}")


def test_the_command(runs, tmp_path, capsys):
    out = tmp_path / "said.parquet"
    words = ["caption", "--run", str(runs / "captions"), "--model.decoding.max_new_tokens", "3", "--out", str(out)]
    assert main([*words, "--prompt", "How many rings?", "CC(=O)O", "C1CC"]) == 0
    first, second = pq.read_table(out).to_pylist()
    assert first["prompt"] == "How many rings?"
    assert second["problem"]
    told = capsys.readouterr()
    assert "1  CC(=O)O\n" in told.out
    assert f"{out}: 1 of 2" in told.out


def test_predict_in_the_order_given(runs):
    rows = molfusion.load(runs / "numbers").predict(["CCO", "C1CC", "c1ccccc1"])
    assert [row["id"] for row in rows] == ["1", "2", "3"]
    assert 0 <= rows[0]["class"] <= 1
    assert rows[1]["problem"]
    whole = molfusion.load(runs / "numbers").predict()
    assert [row["id"] for row in whole] == [f"c{i}" for i in range(24)]
    assert whole[0]["number"] == pytest.approx(rows[0]["number"], abs=1e-5)


def test_explain_needs_something_to_point_at(runs):
    with pytest.raises(NotApplicable):
        molfusion.load(runs / "numbers").explain()


def test_progress_is_told(runs):
    run = molfusion.load(runs / "numbers", overrides=["data.batch_size=2"])
    told = []
    run.progress = lambda *what: told.append(what)
    run.predict(["CCO", "CCN", "CCC"])
    assert told[-2:] == [("molecules", 2, 3), ("molecules", 3, 3)]

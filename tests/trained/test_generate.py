"""Molecules for texts, from the command line and from Python, out of a latent diffusion in three stages."""

import csv
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest

import molfusion
from molfusion.build import build
from molfusion.cli import main
from molfusion.trained.generating import answer
from molfusion.views.batches import batch_of
from tests import contract
from tests.tasks.helpers import config

ODD = [
    "", "   ", "molecule " * 10_000, "分子は酸である。 ألكحول", "\x00\x01\x7f", "🙂" * 300, "\udcff\udc80",
    "-1", "c1ccccc1", "=" * 50,
]  # fmt: skip


@pytest.mark.slow
def test_no_prompt_crashes(stages, tmp_path, capsys):
    """All of them at once, and in a file."""
    out = tmp_path / "out"
    given = ["generate", "--run", str(stages / "diffuse"), "-n", "3", "--out", str(out), "--steps", "5"]
    (tmp_path / "texts.txt").write_bytes(b"It is an alcohol.\n\n\xff\xfe not text\n")
    assert main([*given, "--texts", str(tmp_path / "texts.txt"), "--", *ODD]) == 0
    rows = pq.read_table(out / "molecules.parquet").to_pylist()
    assert {r["prompt_number"] for r in rows} == set(range(1, len(ODD) + 3))
    assert all(bool(r["smiles"]) != bool(r["problem"]) for r in rows)
    assert "12. " in capsys.readouterr().out


@pytest.mark.slow
def test_what_generate_writes(stages, tmp_path, capsys):
    out = tmp_path / "out"
    given = ["generate", "It is an alcohol.", "--run", str(stages / "diffuse"), "-n", "6", "--out", str(out)]
    assert main(given) == 0
    whole = pq.read_table(out / "molecules.parquet").to_pylist()
    rows = [r for r in whole if r["smiles"]]
    assert rows
    assert [r["problem"][:5] for r in whole if not r["smiles"]] == ([f"{len(rows)} of "[:5]] if len(rows) < 6 else [])
    found = [r["smiles"] for r in rows]
    assert len(set(found)) == len(found) <= 6
    assert [r["rank"] for r in rows] == list(range(1, len(rows) + 1))
    alike = [r["similarity"] for r in rows]
    assert alike == sorted(alike, reverse=True)
    assert all(-1 <= x <= 1 for x in alike)
    assert [line.split("\t") for line in (out / "molecules.smi").read_text().splitlines()] == [
        [r["smiles"], f"1-{r['rank']}"] for r in rows
    ]
    assert (out / "grid-1.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (out / "grid-1.svg").read_text()
    shown = capsys.readouterr().out
    assert f"{len(rows)} of 6 wanted" in shown
    assert all(smiles in shown for smiles in found)
    again = tmp_path / "again"
    assert main([*given[:-1], str(again)]) == 0
    assert pq.read_table(again / "molecules.parquet").to_pylist() == whole


@pytest.mark.slow
def test_generating_from_python(stages, monkeypatch):
    """What else is asked, and other settings asked before, change no answer."""
    run = molfusion.load(stages / "diffuse")
    told = []
    run.progress = lambda *what: told.append(what)
    rows = run.generate(["It is an alcohol.", "It is aromatic."], count=3)
    assert [r["prompt_number"] for r in rows] == sorted(r["prompt_number"] for r in rows)
    assert {r["prompt"] for r in rows} == {"It is an alcohol.", "It is aromatic."}
    assert ("texts", 2, 2) in told
    assert [done for what, done, _ in told if what == "molecules"][-1] <= 6
    seen, draw = [], run.model.draw
    monkeypatch.setattr(run.model, "draw", lambda *a: (seen.append((run.model.steps, run.model.guidance)), draw(*a))[1])
    run.generate(["x"], count=1, steps=3, guidance=0.5)
    assert set(seen) == {(3, 0.5)}
    assert (run.model.steps, run.model.guidance) == (10, 1.0)
    alone = run.generate(["It is aromatic."], count=3)
    assert [(r["rank"], r["smiles"]) for r in alone] == [(r["rank"], r["smiles"]) for r in rows if r["prompt_number"] == 2]


@pytest.mark.slow
def test_time_that_runs_out(stages, tmp_path, capsys):
    """A clock that is asked before anything was written: no molecule, and each prompt says why."""
    out = tmp_path / "made.csv"
    given = ["generate", "a", "b", "--run", str(stages / "diffuse"), "-n", "2", "--timeout", "1e-9", "--out", str(out)]
    assert main(given) == 1
    with out.open() as file:
        rows = list(csv.DictReader(file))
    assert [(r["prompt"], r["rank"], r["smiles"]) for r in rows] == [("a", "", ""), ("b", "", "")]
    assert all("stopped after 1e-09 s with 0 of 2 molecules" in r["problem"] for r in rows)
    assert "0 of 2 wanted: 0 of 2 samples are molecules" in capsys.readouterr().out
    assert not list((tmp_path / "made").glob("grid-*"))


@pytest.mark.slow
def test_what_was_found_before_time_ran_out_is_kept(stages, monkeypatch):
    task = molfusion.load(stages / "diffuse").model
    rounds, spent = iter([["CCO", None, "OCC"], ["CCO", "CCN", None], ["CCC", None, None]]), [0.0]

    def three_seconds(*a):
        spent[0] += 3
        return [next(rounds)]

    monkeypatch.setattr(task, "generate", three_seconds)
    monkeypatch.setattr("molfusion.trained.generating.time", SimpleNamespace(monotonic=lambda: spent[0]))
    found = answer(task, "x", 3, seed=0, timeout=5)
    assert ({m.smiles for m in found.made}, found.drawn, found.valid) == ({"CCO", "CCN"}, 6, 4)
    assert found.problem.startswith("stopped after 5 s with 2 of 3 molecules")


@pytest.mark.slow
def test_a_prompt_of_which_nothing_comes(stages, monkeypatch):
    run = molfusion.load(stages / "diffuse")
    monkeypatch.setattr(run.model, "generate", lambda context, rows, samples, *a: [[None] * samples])
    (row,) = run.generate(["x"], count=2)
    assert row["problem"] == "none of 16 samples is a molecule"
    assert (row["smiles"], row["rank"], row["samples"], row["valid"]) == (None, None, 16, 0)


@pytest.mark.slow
def test_samples_that_are_alike(stages, monkeypatch):
    """Eight rounds of three, each the same two molecules, one of them twice."""
    run = molfusion.load(stages / "diffuse")
    monkeypatch.setattr(run.model, "generate", lambda context, rows, samples, *a: [["CCO", "OCC", "CCN"]])
    *made, last = run.generate(["x"], count=3)
    assert [row["problem"] for row in made] == ["", ""]
    assert (last["smiles"], last["problem"]) == (None, "2 of 3: of 24 samples 24 are molecules, 2 of them distinct")


@pytest.mark.slow
def test_a_table_with_the_rest_beside_it(stages, tmp_path):
    given = ["generate", "It is an alcohol.", "--run", str(stages / "diffuse"), "-n", "2", "--out", str(tmp_path / "made.csv")]
    assert main(given) == 0
    with (tmp_path / "made.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert all(bool(r["smiles"]) != bool(r["problem"]) for r in rows)
    assert {p.name for p in (tmp_path / "made").iterdir()} == {"grid-1.png", "grid-1.svg", "molecules.smi"}


@pytest.mark.slow
def test_similarity_is_that_of_the_aligned_towers(stages, card):
    task = molfusion.load(stages / "diffuse").model
    both = {slot: str(stages / "align" / f"{slot}.yaml") for slot in ("encoder", "text")}
    towers = build(config(card, "Retrieval", **both, width=None), stages / "x").task.eval()
    records = contract.records()[:2]
    batch = batch_of(records, towers.views)
    expected = (towers.towers.embed_molecules(batch)[:, 0] * towers.towers.embed_texts(batch)[0]).sum(-1)
    found = task.fits(task.prompted([records[0].text])[0], [r.smiles for r in records])
    assert found == pytest.approx(expected.tolist(), abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["x", "--run", "{stages}/align"], "is a run of Retrieval; generate needs one of Generation"),
        (["x", "--run", "{stages}"], "is not the folder of a run"),
        (["--run", "{stages}/diffuse"], "nothing to generate from"),
        (["x", "--run", "{stages}/diffuse", "-n", "0"], "count is 0"),
        (["x", "--run", "{stages}/diffuse", "--steps", "101"], "steps is 101, expected 1 to 100"),
        (["x", "--run", "{stages}/diffuse", "--timeout", "0"], "timeout is 0 s, expected more than 0"),
        (["--texts", "nowhere.txt", "--run", "{stages}/diffuse"], "no text file nowhere.txt"),
        (["x", "--run", "{stages}/diffuse", "--out", "made.txt"], "made.txt: expected a name that ends in .csv or"),
    ],
)
def test_what_generate_refuses(stages, words, message, capsys):
    assert main(["generate", *(w.format(stages=stages) for w in words)]) == 2
    assert message in capsys.readouterr().err

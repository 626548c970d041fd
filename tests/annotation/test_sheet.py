"""What the annotator gets, and what not."""

import json
from collections import Counter
from itertools import pairwise

import pytest

from molfusion.annotation.sheet import make, runs_in
from molfusion.cli import main
from molfusion.config import ConfigError
from molfusion.rows import write_rows
from tests.annotation.helpers import captions, lines, sweep


@pytest.fixture
def runs(tmp_path):
    return [captions(tmp_path / "secret" / name, name) for name in ("red", "blue", "green")]


def test_every_molecule_of_every_run_once(runs, tmp_path):
    key_file, chosen, common = make(runs, tmp_path / "sheet.csv", count=8, seed=3)
    rows, key = lines(tmp_path / "sheet.csv"), json.loads(key_file.read_text())
    assert (len(rows), len(chosen), common) == (24, 8, 12)
    assert list(rows[0]) == ["item", "asked", "prediction", "correctness", "fluency", "comment"]
    for row in rows:
        entry = key["items"][row["item"]]
        color = ("red", "blue", "green")[entry["run"]]
        assert row["prediction"] == f"{color} {entry['id']}"
        assert row["asked"] == f"Describe it. {'C' * (int(entry['id'][1:]) + 1)}"
        assert row["correctness"] == row["fluency"] == row["comment"] == ""
    assert Counter((e["run"], e["id"]) for e in key["items"].values()) == Counter((r, i) for r in range(3) for i in chosen)
    assert "c99" not in chosen  # of validation


def test_the_sheet_does_not_name_the_runs(runs, tmp_path):
    make(runs, tmp_path / "sheet.csv")
    told = (tmp_path / "sheet.csv").read_text()
    assert "secret" not in told
    assert "right c0" not in told
    make(runs, tmp_path / "sheet.csv", with_reference=True)
    assert {r["reference"] for r in lines(tmp_path / "sheet.csv")} == {f"right c{i}" for i in range(12)}


def test_predictions_for_one_molecule_are_apart_and_no_run_has_a_place(runs, tmp_path):
    key_file, chosen, _ = make(runs, tmp_path / "sheet.csv", count=12)
    key = json.loads(key_file.read_text())["items"]
    order = [key[row["item"]] for row in lines(tmp_path / "sheet.csv")]
    for molecule in chosen:
        places = [n for n, e in enumerate(order) if e["id"] == molecule]
        assert min(b - a for a, b in pairwise(places)) > 6
    assert all(len({e["run"] for e in order[i : i + 12]}) == 3 for i in (0, 12, 24))  # each round holds all runs


def test_a_seed_is_a_sheet(runs, tmp_path):
    def made(seed, *which):
        make(list(which) or runs, tmp_path / "sheet.csv", seed=seed)
        return (tmp_path / "sheet.csv").read_bytes()

    assert made(0) == made(0) != made(1)
    items = [{line.split(b",")[0] for line in made(0, *which).splitlines()[1:]} for which in (runs[:2], runs[1:])]
    assert not items[0] & items[1]  # a sheet does not fit the key of another one with the same seed


def test_a_baseline_that_does_not_know_the_question_is_not_known_by_that(runs, tmp_path):
    runs.insert(0, captions(tmp_path / "baseline", "near", prompt=""))
    make(runs, tmp_path / "sheet.csv", count=3)
    assert all(row["asked"].startswith("Describe it. C") for row in lines(tmp_path / "sheet.csv"))


def test_molecules_for_a_text(tmp_path):
    rows = [
        {"split": "test", "id": key, "group": key, "smiles": "CCO", "prompt": f"An alcohol {key}", "sample": n, "generated": made}
        for key, samples in {"a": ["CCO", "CCC"], "b": [None, "C"]}.items()
        for n, made in enumerate(samples)
    ]
    (tmp_path / "run").mkdir()
    write_rows(rows, tmp_path / "run" / "predictions.parquet")
    key_file, _, _ = make([tmp_path / "run"], tmp_path / "sheet.csv", with_reference=True)
    assert {(r["asked"], r["prediction"], r["reference"]) for r in lines(tmp_path / "sheet.csv")} == {
        ("An alcohol a", "CCO", "CCO"), ("An alcohol b", "(nothing)", "CCO")
    }  # fmt: skip
    assert json.loads(key_file.read_text())["wanted"] == ["correctness"]


def test_of_a_sweep_the_first_seed_of_each_row_and_the_baselines(tmp_path):
    told = sweep(tmp_path / "sweep") / "told"
    assert runs_in(told) == runs_in(told.parent) == [told / "A" / "seed0", told / "B" / "seed0", told / "baseline-nearest"]
    assert runs_in(told / "A" / "seed1") == [told / "A" / "seed1"]
    assert runs_in(tmp_path / "nothing") == [tmp_path / "nothing"]


def test_refusals(runs, tmp_path):
    (numbers := tmp_path / "numbers").mkdir()
    write_rows([{"split": "test", "id": "a", "predicted": 1.0}], numbers / "predictions.parquet")
    other = captions(tmp_path / "other", "x", prompt="What else?")
    strangers = captions(tmp_path / "strangers", "x", ids=["c50"])
    for given, settings, message in (
        ([], {}, "give the folders of the runs"),
        ([runs[0], runs[0]], {}, "each once"),
        ([runs[0], tmp_path], {}, "has no predictions.parquet"),
        ([numbers], {}, "neither captions nor molecules"),
        ([runs[0], other], {}, "were asked different things of 'c0'"),
        ([runs[0], strangers], {}, "no record of the test split that all"),
        (runs, {"count": 0}, "-n is 0"),
    ):
        with pytest.raises(ConfigError, match=message):
            make(given, tmp_path / "sheet.csv", **settings)
    with pytest.raises(ConfigError, match=r"ends in \.csv"):
        make(runs, tmp_path / "sheet.xlsx")
    assert not (tmp_path / "sheet.csv").exists()


def test_the_command(runs, tmp_path, capsys):
    out = tmp_path / "sheet.csv"
    assert main(["annotate", *map(str, runs), "--out", str(out), "-n", "5"]) == 0
    told = capsys.readouterr().out
    assert f"{out}: 5 of 12 molecules, each of 3 runs; to be rated from 1 to 5" in told
    assert str(tmp_path / "sheet.key.json") in told
    assert main(["annotate", *map(str, runs)]) == 2
    assert "say with --out FILE.csv" in capsys.readouterr().err

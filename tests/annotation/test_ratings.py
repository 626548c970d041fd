"""Rated sheets into a sweep, and its report."""

import csv
import json

import numpy as np
import pytest

from molfusion.annotation.ratings import take
from molfusion.annotation.sheet import make
from molfusion.cli import main
from molfusion.config import ConfigError
from molfusion.metrics.agreement import agreement
from molfusion.report.ratings import rated
from molfusion.report.results import load
from tests.annotation.helpers import captions, lines, rate, sweep
from tests.report.helpers import Page, csv_tables


@pytest.fixture
def made(tmp_path):
    """A sweep, the sheet of four of its runs and its baseline, and the key."""
    folder = sweep(tmp_path / "sweep")
    runs = [folder / "told" / row / f"seed{seed}" for row in ("A", "B") for seed in (0, 1)]
    key, _, _ = make([*runs, folder / "told" / "baseline-nearest"], tmp_path / "sheet.csv", count=6)
    return folder, tmp_path / "sheet.csv", key


def by_words(row):
    """A says red, B blue: 5 and 2; the baseline is good at words alone."""
    word = row["prediction"].split()[0]
    score = {"red": 5, "blu": 2, "nea": 1}[word[:3]]
    return {"correctness": score, "fluency": 5 if word == "near" else 4, "comment": "a, b"}


def test_there_and_back(made, tmp_path):
    folder, sheet, key = made
    anna = rate(sheet, tmp_path / "anna.csv", by_words)
    (taken,) = take([anna], key, folder)
    assert (taken.annotator, taken.rated, taken.missing) == ("anna", 30, [])
    held = lines(folder / "told" / "A" / "seed0" / "ratings" / "anna.csv")
    assert len(held) == 6
    assert {(r["correctness"], r["fluency"], r["comment"]) for r in held} == {("5", "4", "a, b")}
    assert all(r["group"] == f"g{int(r['id'][1:]) // 2}" for r in held)
    (table,) = load(folder).tables
    grid = rated(table)
    assert grid.columns == ["", "molecules rated", "correctness", "fluency"]
    assert {row[0]: row[1:] for row in grid.rows} == {
        "A": ["6", "5.00 [5.00, 5.00]", "4.00 [4.00, 4.00]"],
        "B": ["6", "2.00 [2.00, 2.00]", "4.00 [4.00, 4.00]"],
        "(nearest)": ["6", "1.00 [1.00, 1.00]", "5.00 [5.00, 5.00]"],
    }
    assert "by 1 (anna)" in grid.note
    assert "No prediction was rated twice" in grid.note


def test_two_annotators(made, tmp_path):
    folder, sheet, key = made
    anna = rate(sheet, tmp_path / "anna.csv", by_words)
    stricter = {"red": 5, "blu": 1, "nea": 1}
    ben = rate(sheet, tmp_path / "ben.csv", lambda row: by_words(row) | {"correctness": stricter[row["prediction"][:3]]})
    take([anna, ben], key, folder)
    (table,) = load(folder).tables
    grid = rated(table)
    assert {row[0]: row[2] for row in grid.rows}["B"] == "1.50 [1.50, 1.50]"
    assert "by 2 (anna, ben)" in grid.note
    assert "Of 30 predictions rated more than once: correctness the same in 60%" in grid.note
    assert "fluency the same in 100%, Cohen's kappa (quadratic weights) 1.00" in grid.note


def test_agreement_by_hand():
    first, second = {"a": 1, "b": 2, "c": 5, "d": 5}, {"a": 1, "b": 3, "c": 5, "z": 4}
    found = agreement({"x": first, "y": second}, 1, 5)
    x, y = np.array([1, 2, 5]), np.array([1, 3, 5])
    expected = 1 - ((x - y) ** 2).mean() / ((x[:, None] - y[None]) ** 2).mean()
    assert (found.items, found.exact) == (3, pytest.approx(2 / 3))
    assert found.kappa == pytest.approx(expected)
    assert agreement({"x": first}, 1, 5) is None
    assert agreement({"x": {"a": 1}, "y": {"b": 1}}, 1, 5) is None
    assert agreement({"x": {"a": 3, "b": 3}, "y": {"a": 3, "b": 3}}, 1, 5).kappa is None


def test_what_is_missing_is_told_and_the_rest_counts(made, tmp_path):
    folder, sheet, key = made
    first, second, third = lines(sheet)[:3]

    def partly(row):
        if row == first:
            return {}
        return by_words(row) | ({"fluency": ""} if row == second else {})

    anna = rate(sheet, tmp_path / "anna.csv", partly)
    kept = [line for line in anna.read_text().splitlines() if not line.startswith(third["item"])]
    anna.write_text("\n".join(kept) + "\n,,,,,\n")
    (taken,) = take([anna], key, folder)
    assert taken.rated == 28
    assert sorted(taken.missing) == sorted([
        f"{anna}: item {third['item']} is not on it",
        f"{anna} line 2: item {first['item']} has no correctness and no fluency",
        f"{anna} line 3: item {second['item']} has no fluency",
    ])  # fmt: skip


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_what_spreadsheets_make_of_it(made, tmp_path, delimiter):
    folder, sheet, key = made
    anna = rate(sheet, tmp_path / "anna.csv", lambda row: by_words(row) | {"correctness": " 3.0 "}, delimiter=delimiter)
    anna.write_bytes(b"\xef\xbb\xbf" + anna.read_bytes().replace(b"correctness", b" Correctness"))
    (taken,) = take([anna], key, folder)
    assert taken.rated == 30
    assert {r["correctness"] for r in lines(taken.written[0])} == {"3"}


def test_each_mistake_is_a_line_and_nothing_is_written(made, tmp_path, capsys):
    folder, sheet, key = made
    items = [row["item"] for row in lines(sheet)]

    def wrongly(row):
        place = items.index(row["item"])
        wrong = [{"item": "nobody"}, {"correctness": 6}, {"fluency": "good"}, {"correctness": 2.5}, {}, {"item": items[4]}]
        return by_words(row) | (wrong[place] if place < len(wrong) else {})

    anna = rate(sheet, tmp_path / "anna.csv", wrongly)
    assert main(["annotate", "--import", str(anna), "--key", str(key), str(folder)]) == 2
    said = capsys.readouterr().err.splitlines()
    assert [line.partition(": ")[2] for line in said] == [
        f"{anna} line 2: there is no item 'nobody' in the key: another sheet's, or a changed id",
        f"{anna} line 3: correctness of item {items[1]} is '6', expected a whole number from 1 to 5",
        f"{anna} line 4: fluency of item {items[2]} is 'good', expected a whole number from 1 to 5",
        f"{anna} line 5: correctness of item {items[3]} is '2.5', expected a whole number from 1 to 5",
        f"{anna} line 7: item {items[4]} stands in line 6 already",
    ]
    assert not list(folder.rglob("ratings"))


def test_many_mistakes_are_counted(made, tmp_path):
    folder, sheet, key = made
    anna = rate(sheet, tmp_path / "anna.csv", lambda _: {"correctness": 9, "fluency": 0})
    with pytest.raises(ConfigError, match="and 40 more"):
        take([anna], key, folder)


def test_predictions_made_anew_are_not_those_that_were_rated(made, tmp_path):
    folder, sheet, key = made
    anna = rate(sheet, tmp_path / "anna.csv", by_words)
    captions(folder / "told" / "A" / "seed1", "other")
    with pytest.raises(ConfigError, match=r"no run in .* holds the predictions of sweep/told/A/seed1 that were rated"):
        take([anna], key, folder)


def test_a_sweep_that_moved(made, tmp_path):
    folder, sheet, key = made
    anna = rate(sheet, tmp_path / "anna.csv", by_words)
    moved = folder.rename(tmp_path / "elsewhere")
    (taken,) = take([anna], key, moved)
    assert (moved / "told" / "B" / "seed1" / "ratings" / "anna.csv") in taken.written


def test_odd_files(made, tmp_path):
    folder, sheet, key = made
    anna = rate(sheet, tmp_path / "anna.csv", by_words)
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "columns.csv").write_text("item,correctness\nx,1\n")
    (tmp_path / "latin.csv").write_bytes("item,correctness,fluency,comment\nx,1,1,é\n".encode("latin-1"))
    (tmp_path / "a").mkdir()
    twin = rate(sheet, tmp_path / "a" / "anna.csv", by_words)
    wrong_key = tmp_path / "wrong.json"
    wrong_key.write_text(json.dumps([1]))
    for sheets, at, where, message in (
        ([anna], key, tmp_path, "is not the folder of a sweep"),
        ([anna], tmp_path / "no.json", folder, "no key"),
        ([anna], wrong_key, folder, "is not the key of a sheet"),
        ([anna], folder / "plan.json", folder, "is not the key of a sheet"),
        ([anna, twin], key, folder, "have one name"),
        ([tmp_path / "no.csv"], key, folder, "no sheet"),
        ([tmp_path / "empty.csv"], key, folder, "has no column 'item'; it has: none"),
        ([tmp_path / "columns.csv"], key, folder, "has no column 'fluency'"),
        ([tmp_path / "latin.csv"], key, folder, "is not text in UTF-8"),
        ([sheet], key, folder, "nothing is rated on it"),
    ):
        with pytest.raises(ConfigError, match=message):
            take(sheets, at, where)


def test_the_command_and_the_report(made, tmp_path, capsys):
    folder, sheet, key = made
    anna = rate(sheet, tmp_path / "anna.csv", by_words)
    assert main(["annotate", "--import", str(anna), "--key", str(key), str(folder)]) == 0
    told = capsys.readouterr().out
    assert "anna: 30 items rated, 0 not complete" in told
    assert main(["report", str(folder)]) == 0
    page = Page((folder / "report.html").read_text())
    (shown,) = [t for t in page.tables if t[0] == ["row", "molecules rated", "correctness", "fluency"]]
    assert ["B", "6", "2.00 [2.00, 2.00]", "4.00 [4.00, 4.00]"] in shown
    assert any(name.endswith("rated-by-people") for name in csv_tables(folder))
    capsys.readouterr()
    assert main(["annotate", "--import", str(anna), str(folder)]) == 2
    assert f"no key {tmp_path / 'anna.key.json'}" in capsys.readouterr().err
    assert main(["annotate", "--import", str(anna)]) == 2
    assert "takes the folder of one sweep, not 0" in capsys.readouterr().err


def test_without_ratings_there_is_no_table(made):
    (table,) = load(made[0]).tables
    assert rated(table).rows == []


def test_intervals_resample_groups(made, tmp_path):
    """Every second group is rated 5, the others 1: the mean is 3, and the interval is wide."""
    folder, sheet, key = made
    groups = {name: int(entry["group"][1:]) for name, entry in json.loads(key.read_text())["items"].items()}
    even = sorted(set(groups.values()))[::2]
    anna = rate(sheet, tmp_path / "anna.csv", lambda row: {"correctness": 5 if groups[row["item"]] in even else 1, "fluency": 3})
    take([anna], key, folder)
    (table,) = load(folder).tables
    cell = rated(table).rows[0][2]
    mean, low, high = (float(x) for x in cell.replace("[", "").replace("]", "").replace(",", "").split())
    with (folder / "told" / "A" / "seed0" / "ratings" / "anna.csv").open() as file:
        ratings = [int(r["correctness"]) for r in csv.DictReader(file)]
    assert mean == pytest.approx(np.mean(ratings), abs=0.005)
    assert low < mean - 0.5
    assert high > mean + 0.5

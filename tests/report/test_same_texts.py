"""Baselines say a text of every test record, trained rows of some."""

import pytest

from molfusion.report.page import write
from molfusion.report.results import Row, Table, load
from molfusion.report.same_texts import counted, on_same_texts
from molfusion.report.tables import results
from molfusion.tasks.answers import Answer, Answers
from tests.report.fakes import run, sweep
from tests.report.test_corpus import given

ASKED = ["a", "b", "c", "d"]
RIGHT = "It has no rings."


def texts(said, nll=2.0):
    """A result with what was said of each record (None: nothing); a baseline has no loss."""
    rows = [Answer(i, i.upper(), "CCO", "?", RIGHT, t, nll, 4) for i, t in zip(ASKED, said, strict=True)]
    judge = Answers("molfusion", 512)
    scored, told = judge.scored(rows)
    metrics = {f"test/{k}": v for k, v in scored.items() if nll or k != "loss"}
    if nll:
        metrics["test/score"] = -metrics["test/loss"]
    return given(told, metrics=metrics | {"val/ROUGE-L": 7.0})


def table(*said):
    """The baseline is right of a alone."""
    rows = [Row(f"r{i}", [texts(s)]) for i, s in enumerate(said)]
    return Table("t", "", ["loss", "ROUGE-L"], [Row("(b)", [texts([RIGHT, *["Benzene"] * 3], nll=0.0)], baseline=True), *rows])


def test_baselines_are_counted_on_the_records_that_every_row_has_a_text_of():
    made = table([RIGHT, RIGHT, None, None], [RIGHT, RIGHT, RIGHT, None])
    assert made.rows[0].values("ROUGE-L") == [pytest.approx(25.0)]
    found = on_same_texts(made)
    assert found.rows[0].values("ROUGE-L") == [pytest.approx(50.0)]
    assert found.rows[0].values("generated") == [2.0]
    assert found.rows[0].values("ROUGE-L", "val") == [7.0]
    assert made.rows[0].values("ROUGE-L") == [pytest.approx(25.0)]
    assert found.rows[1:] == made.rows[1:]
    assert counted(found) == (
        "Texts were generated for 2 of 4 test records; baselines are counted on the same; the `loss` is that of all."
    )
    shown = results(found)
    assert shown.rows[0][:2] == ["(b)", "n/a"]
    assert shown.note.endswith("is that of all. A baseline says no likelihoods, so it has no `loss` and no `score`.")


def test_where_all_have_all_nothing_changes():
    made = table([RIGHT] * 4)
    assert on_same_texts(made).rows[0].values("ROUGE-L") == [pytest.approx(25.0)]
    assert counted(made) == ""


def test_without_texts_it_is_the_same_table():
    made = table([None] * 4)
    assert on_same_texts(made) is made
    assert counted(made) == ""


def test_the_page_has_the_same_number_everywhere(tmp_path):
    made = table([RIGHT, RIGHT, None, None])
    for row, home in zip(made.rows, ("baseline-b", "r0/0"), strict=True):
        (of,) = row.results
        rows = [dict(zip(of.predictions, values, strict=True)) for values in zip(*of.predictions.values(), strict=True)]
        run(tmp_path / "t" / home, "Captioning", of.metrics, [{k: v for k, v in r.items() if "@" not in k} for r in rows])
    sweep(tmp_path, {"t": {"(b)": {}, "r0": {}}})
    assert load(tmp_path).tables[0].row("(b)").values("ROUGE-L") == [pytest.approx(25.0)]
    assert "Texts were generated for 2 of 4 test records" in write(tmp_path).read_text()

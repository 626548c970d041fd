"""The cells of the results: mean, spread over seeds, interval."""

import re

from molfusion.report.page import _ranged
from molfusion.report.results import Row
from molfusion.report.tables import lift, results
from tests.report.test_statistics import result, table


def test_an_error_is_shown_as_it_is_and_lower_is_better():
    """Errors 1 and 3, alone in their groups: RMSE sqrt(5), of draws 1 or 3 at the ends."""
    found = result(0, {"a": 1.0, "b": 3.0})
    found.metrics["test/y/RMSE"] = 5**0.5
    made = table(Row("r", [found]))
    made.headline = ["y/RMSE"]
    grid = results(made)
    assert grid.rows == [["r", "2.236 [1.000, 3.000]"]]
    assert "y/RMSE (lower is better)" in re.findall(r"<text[^>]*>([^<]*)</text>", str(grid.figure))


def test_a_number_that_predictions_do_not_hold_stands_alone():
    found = result(0, {"a": 1.0})
    found.metrics["test/kl"] = 0.5
    made = table(Row("r", [found]))
    made.headline = ["kl"]
    assert results(made).rows == [["r", "0.500"]]


def test_a_control_is_matched_where_the_steps_are():
    """To 1 %, as batches without a molecule that could be read are left out."""
    for steps, role in ((1000, "matched control"), (991, "matched control"), (980, "control"), (600, "control")):
        fused = Row("F", [result(0, {"a": 1.0}, steps=steps)], control="C")
        made = table(Row("C", [result(0, {"a": 1.0}, steps=1000)]), fused)
        assert lift(made).rows[0][2] == f"C ({role})"


def test_on_the_page_the_interval_may_stand_below():
    assert str(_ranged("0.5 ± 0.1 [0.4, 0.6]")) == '0.5 ± 0.1 <span class="range">[0.4, 0.6]</span>'
    assert str(_ranged("× 2.0 [1.0, 3.0]")) == '× 2.0 <span class="range">[1.0, 3.0]</span>'
    for text in ("better: +0.1 [0.0, 0.2] (ridge)", "<b> [1, 2]", "0.5", "n/a"):
        assert _ranged(text) == text
        assert not hasattr(_ranged(text), "__html__")  # is escaped like any text
    assert _ranged("(C; × 1.67 steps)") == "(C; ×\u00a01.67 steps)"


def test_a_row_without_a_result_says_why():
    rows = [Row("r", [result(0, {"a": 1.0})]), Row("f", missing=[(0, "failed", "no memory"), (1, "failed", "no memory")])]
    rows[0].missing = [(1, "n/a", "no text")]
    rows[1].missing.append((2, "waiting", ""))
    made = table(*rows)
    made.headline = ["kl"]
    grid = results(made)
    assert grid.columns[-1] == "not run, and why"
    assert [row[-1] for row in grid.rows] == [
        "seed 1 n/a: no text", "seed 0 failed: no memory; seed 1 failed: no memory; seed 2 waiting",
    ]  # fmt: skip
    rows[1].missing.pop()
    assert results(made).rows[1] == ["f", "n/a", "failed: no memory"]


def test_without_chance_or_predictions_the_times_of_chance_say_why():
    chance, row = Row("(chance)", baseline=True), Row("r", [result(0, {})])
    made = table(chance, row)
    made.headline = ["score"]
    chance.missing = [(0, "failed", "x")]
    assert results(made).rows[1][2] == "n/a: chance has no score"
    chance.results = [result(None, {})]
    chance.results[0].metrics["test/score"] = 0.5
    assert results(made).rows[1][2] == "n/a: no test predictions of a score"


def test_of_a_table_in_which_nothing_ran_no_score_is_explained():
    """What kind of score it is is told by the metrics of its runs."""
    empty = Row("UniMol", missing=[(0, "n/a", "card mine has no texts")])
    assert "minus" not in results(table(empty)).note
    assert "minus the mean absolute error" in results(table(Row("UniMol", [result(0, {"a": 1.0})]))).note

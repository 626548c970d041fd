"""Is each input used: the verdict on a drop."""

import pytest

from molfusion.report.reliance import is_used, said
from molfusion.report.results import Row
from molfusion.report.statistics import Interval
from tests.report.test_statistics import result, table


@pytest.mark.parametrize(
    ("drop", "verdict"),
    [
        ((0.022, 0.018, 0.025), "used"),
        ((-0.022, -0.025, -0.018), "harmful: better without it"),
        ((0.022, -0.001, 0.045), "not used, as far as can be told"),
        ((3e-5, 1e-5, 5e-5), "not used, as far as can be told"),  # printed as +0.000 [+0.000, +0.000]
    ],
)
def test_the_verdict(drop, verdict):
    assert said(Interval(*drop)) == verdict


def test_the_test_must_say_so_too():
    assert said(Interval(0.022, 0.018, 0.025), p=0.049) == "used"
    assert said(Interval(0.022, 0.018, 0.025), p=0.06) == "not used, as far as can be told"


def model(molecules):
    """Which loses 1 on each of them without its image."""
    found, without = (result(0, dict.fromkeys(molecules, error)) for error in (1.0, 2.0))
    found.without = {("image", "shuffle"): without}
    found.metrics["test/score"] = -0.5
    return found


def test_the_rows_of_a_table_are_corrected_together():
    """Two patterns of signs are as extreme: 2 / 128 of seven molecules, 2 / 64 of six; Holm doubles the smaller."""
    seven, six = Row("A", [model("abcdefg")]), Row("B", [model("abcdef")])
    assert [row[-1] for row in is_used(table(six)).rows] == ["used"]
    five = Row("C", [model("abcde")])
    assert [row[-1] for row in is_used(table(seven, six)).rows] == ["used", "used"]  # 4 / 128, 2 / 64
    found = is_used(table(seven, six, five)).rows  # 6 / 128, 4 / 64, 2 / 32
    assert [row[-1] for row in found] == ["used", *["not used, as far as can be told"] * 2]
    assert found[0][3:6] == ["-0.500", "-1.000", "+0.500 [+0.500, +0.500]"]

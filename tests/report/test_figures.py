"""Figures with labels that are wider than the figure."""

import re
import warnings

import pytest

from molfusion.report import figures
from molfusion.report.lifts import Lift
from molfusion.report.results import Row
from molfusion.report.statistics import Interval

LONG = "QFormer(" + "UniMol with everything, " * 6 + ")"
FOUND = Interval(0.5, 0.4, 0.6)


def lift():
    return Lift(LONG, LONG, "part", "score", FOUND, None, None)


@pytest.mark.parametrize(
    ("draw", "times"),
    [
        (lambda: figures.intervals([(Row(LONG), FOUND)], "score"), 1),
        (lambda: figures.lift_against_cost([figures.Panel("t", "score", [(lift(), 3.0)])] * 3), 1),
        (lambda: figures.pools([(Row(LONG), {"3d": (FOUND, 0.5), "chi": (FOUND, 0.5)})], ["3d", "chi"]), 1),
    ],
    ids=["intervals", "lift", "pools"],
)
def test_a_long_label_is_whole_and_without_a_warning(draw, times):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        svg = draw()
    assert svg.count(LONG) == times
    assert svg.startswith('<svg role="img"')
    assert not re.search(r'<g id="\w+_\d+"', svg)  # several figures stand in one page
    # The page is wider than the axes, so that the label stands beside them and is not cut.
    width = float(svg.split('viewBox="0 0 ')[1].split()[0])
    assert width > 7.2 * 72 + 150

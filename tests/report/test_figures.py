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


@pytest.mark.parametrize(
    ("draw", "times"),
    [
        (lambda: figures.intervals([(Row(LONG), FOUND)], "score"), 1),
        (lambda: figures.pools([LONG], {kind: {LONG: (FOUND, 0.5, False)} for kind in ("3d", "chi")}), 1),
    ],
    ids=["intervals", "pools"],
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


def test_panels_are_drawings_of_their_own_and_name_rows_once():
    """As text below them, so that a long name wraps, whatever it holds."""
    name = "<b>" + LONG
    lifts = [Lift(label, "GIN", "part", "score", FOUND, None, None) for label in (name, "B")]
    panel = figures.Panel("t", "score", [(lift, 3.0) for lift in lifts])
    markup = figures.lift_against_cost([panel] * 3)
    assert markup.count('<svg role="img"') == 3
    widths = [float(x) for x in re.findall(r'viewBox="0 0 (\S+)', markup)]
    assert max(widths) < 358 * 72 / 96  # of a phone, 390 px less what stands beside
    assert markup.count(LONG) == 1
    assert "&lt;b>" not in markup
    assert f"&lt;b&gt;{LONG}</li>" in markup
    colours = [figures.style(i)[0] for i in range(2)]
    assert re.findall(r'<path fill="(#\w+)"', markup) == colours

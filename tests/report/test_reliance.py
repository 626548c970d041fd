"""Is each input used: the verdict on a drop."""

import pytest

from molfusion.report.reliance import said
from molfusion.report.statistics import Interval


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

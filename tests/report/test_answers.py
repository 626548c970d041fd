"""The first table of a report: a fusion over its part, its control and the best baseline."""

from pathlib import Path

import numpy as np
import pytest

from molfusion.report.answers import answers
from molfusion.report.lifts import over_baseline
from molfusion.report.results import Row, Sweep
from tests.report.test_statistics import result, table

ERRORS = {f"m{i:02}": float(e) for i, e in enumerate(np.random.default_rng(0).normal(size=30))}


def off(by, scale=1.0):
    return {k: abs(v) * scale + by for k, v in ERRORS.items()}


def baseline(label, by, val):
    return Row(label, [result(None, off(by), val)], baseline=True)


def fusion(by, seeds=(0, 1)):
    return Row("F", [result(s, off(by), val=0.0) for s in seeds], parts=["P"])


def asked(*rows):
    made = table(Row("P", [result(s, off(0.0)) for s in (0, 1)]), *rows)
    for row in made.rows:
        for r in row.results:
            r.record["cost"]["train_seconds"] = 1.0
    return answers(Sweep(Path(), "", "", "", "", [0, 1], [made])).rows[0]


def test_the_best_baseline_is_paired_like_the_rest():
    """Worse by 0.4, in units of the training spread (2) 0.2, on every molecule: no width."""
    found = asked(fusion(0.5), baseline("(ridge)", 0.1, val=-1.0))
    assert found[2] == "worse: -0.250 [-0.250, -0.250] (P)"
    assert found[4] == "worse: -0.200 [-0.200, -0.200] (ridge)"


def test_a_difference_within_chance_is_none():
    """The mean over molecules is 0.05 of a spread better, and the molecules differ by far more than that."""
    rng = np.random.default_rng(1)
    errors = {k: v + rng.normal(0.1, 2.0) for k, v in off(5.0).items()}
    told = asked(fusion(5.0), Row("(ridge)", [result(None, errors, -1.0)], baseline=True))[4]
    assert told.startswith("not distinguishable: ")
    assert told.endswith("] (ridge)")


def test_the_best_baseline_is_chosen_on_validation():
    """The mean is better on test, the ridge on validation."""
    found = over_baseline(made := table(fusion(0.5), baseline("(mean)", 0.0, -2.0), baseline("(ridge)", 1.0, -1.0)), made.rows[0])
    assert (found.against, found.role) == ("(ridge)", "baseline")
    assert found.interval.mean == pytest.approx(0.25)


def test_why_it_cannot_be_paired():
    assert asked(fusion(0.5))[4] == "n/a: no baseline in this table"
    silent = baseline("(ridge)", 0.1, -1.0)
    silent.results[0].metrics.clear()
    assert asked(fusion(0.5), silent)[4] == "n/a: no baseline has a score on validation"
    elsewhere = Row("(ridge)", [result(None, {"x": 1.0}, -1.0)], baseline=True)
    assert asked(fusion(0.5), elsewhere)[4] == "n/a: no test predictions of (ridge) to pair with"

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
            r.totals["total_train_seconds"] = 1.0
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


def test_baselines_without_a_score_are_met_on_another_metric():
    """By the first of the headline that both have; of the two baselines the one with the smaller error on validation."""
    made = table(fusion(0.5), baseline("(mean)", 0.0, -2.0), baseline("(ridge)", 1.0, -1.0))
    made.headline = ["y/R2", "y/MAE", "score"]
    for row, error in zip(made.rows[1:], (1.0, 2.0), strict=True):
        row.results[0].metrics = {"val/y/MAE": error}
    (told,) = answers(Sweep(Path(), "", "", "", "", [0, 1], [made])).rows
    assert told[4] == "worse by y/MAE: -0.500 [-0.500, -0.500] (mean)"


def test_the_range_of_time_over_seeds():
    """10 and 30 seconds over 10 and 20."""
    times = ((10.0, 20.0), (10.0, 30.0))
    part, fused = (Row(n, [result(s, off(0.0), seconds=x) for s, x in enumerate(t)]) for n, t in zip("PF", times, strict=True))
    fused.parts = ["P"]
    assert answers(Sweep(Path(), "", "", "", "", [0, 1], [table(part, fused)])).rows[0][5] == "× 1.3 (1.0–1.5)"


def test_why_it_cannot_be_paired():
    assert asked(fusion(0.5))[4] == "n/a: no baseline in this table"
    silent = baseline("(ridge)", 0.1, -1.0)
    silent.results[0].metrics.clear()
    assert asked(fusion(0.5), silent)[4] == "n/a: no baseline has a score on validation"
    elsewhere = Row("(ridge)", [result(None, {"x": 1.0}, -1.0)], baseline=True)
    assert asked(fusion(0.5), elsewhere)[4] == "n/a: no test predictions of (ridge) to pair with"


# -- every n/a has its reason ------------------------------------------------------------------------


def control(found):
    return found[3]


def test_parts_trained_as_long_are_the_control():
    """A fusion inside one encoder: its parts are that encoder, trained as long, so the best of them is what controls it."""
    assert control(asked(fusion(0.5))) == "worse: -0.250 [-0.250, -0.250] (P; as many steps, × 1.00 parameters)"
    longer = Row("F", [result(s, off(0.5), steps=15) for s in (0, 1)], parts=["P"])
    assert control(asked(longer)) == (
        "n/a: the sweep names no control, and its best part is none: the fusion was trained × 1.50 as long"
    )
    unknown = Row("F", [result(s, off(0.5), steps=0) for s in (0, 1)], parts=["P"])
    assert control(asked(unknown)).endswith("the fusion was trained for a number of steps that is not known")


def test_a_control_that_is_named_comes_first():
    fused, named = fusion(0.5), Row("C", [result(s, off(1.0), steps=15) for s in (0, 1)])
    fused.control = "C"
    assert control(asked(fused, named)) == "better: +0.250 [+0.250, +0.250] (C; × 0.67 steps, × 1.00 parameters)"
    named.results.clear()
    assert control(asked(fused, named)) == "n/a: its control, C, has no run"


def test_a_fusion_that_failed_is_in_the_table_with_the_reason():
    fused = Row("F", missing=[(0, "failed", "out of memory"), (1, "failed", "out of memory")], parts=["P"])
    assert set(asked(fused)[2:]) == {"n/a: it did not run: out of memory"}
    assert set(asked(Row("F", parts=["P"]))[2:]) == {"n/a: it did not run"}


def test_without_parts_that_ran_there_is_nothing_to_compare_with():
    fused = fusion(0.5)
    fused.parts = ["gone"]
    assert asked(fused)[2:4] == ["n/a: no part of it has a run (gone)", "n/a: the sweep names no control of it"]
    assert asked(fused)[5] == "n/a: no part of it has a run (gone)"
    fused.parts, fused.control = [], "P"
    assert asked(fused)[2] == "n/a: the sweep names no parts of it"


def test_a_time_that_is_not_known():
    made = table(Row("P", [result(0, off(0.0))]), fusion(0.5))
    for row in made.rows:
        for r in row.results:
            r.totals["total_train_seconds"] = 0.0
    (row,) = answers(Sweep(Path(), "", "", "", "", [0, 1], [made])).rows
    assert row[5] == "n/a: no training time of both is known (P)"

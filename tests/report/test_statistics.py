from pathlib import Path

import numpy as np
import pytest

from molfusion.report.lifts import Times, lifts
from molfusion.report.results import Result, Row, Table
from molfusion.report.statistics import Interval, bootstrap, interval


def numbered(*groups):
    return np.array(groups, dtype=np.int64)


def numbers(found):
    return found.mean, found.low, found.high


def test_constant_values_have_no_width():
    found = bootstrap(np.full((2, 4), 0.3), numbered(0, 1, 2, 2))
    assert numbers(found) == pytest.approx((0.3, 0.3, 0.3))


def test_one_group_has_no_width_however_it_varies():
    """Conformers of one molecule are one draw: nothing is known of other molecules."""
    found = bootstrap(np.array([[0.0, 1.0, 0.0, 1.0]]), numbered(0, 0, 0, 0))
    assert numbers(found) == (0.5, 0.5, 0.5)


def test_groups_are_drawn_whole():
    """Two groups, one all 0 and one all 1: a draw of two has mean 0, 1/2 or 1 (a quarter, a half, a quarter)."""
    values = np.array([[0.0] * 50 + [1.0] * 50])
    found = bootstrap(values, numbered(*[0] * 50, *[1] * 50))
    assert numbers(found) == (0.5, 0.0, 1.0)
    # As a hundred molecules of their own they would pin the mean down: 1.96 sqrt(0.25 / 100) = 0.098.
    alone = bootstrap(values, numbered(*range(100)))
    assert alone.low == pytest.approx(0.5 - 0.098, abs=0.02)
    assert alone.high == pytest.approx(0.5 + 0.098, abs=0.02)


def test_unequal_groups_count_by_their_molecules():
    """Group 0 holds 3 molecules of value 0, group 1 one of value 1: draws 00, 01, 10, 11 have means 0, 1/4, 1/4, 1."""
    found = bootstrap(np.array([[0.0, 0.0, 0.0, 1.0]]), numbered(0, 0, 0, 1))
    assert numbers(found) == (0.25, 0.0, 1.0)


def test_seeds_are_drawn_too():
    """No spread between molecules, but seeds at 0 and 1: the interval must not hide it."""
    found = bootstrap(np.array([[0.0] * 6, [1.0] * 6]), numbered(*range(6)))
    assert numbers(found) == (0.5, 0.0, 1.0)


def test_the_same_every_time():
    values = np.random.default_rng(3).random((3, 20))
    assert bootstrap(values, numbered(*range(20))) == bootstrap(values, numbered(*range(20)))


def test_an_interval_excludes_what_lies_outside():
    found = Interval(0.2, 0.1, 0.3)
    assert found.excludes(0)
    assert found.excludes(0.31)
    assert not found.excludes(0.1)
    assert not found.excludes(0.3)


def test_a_bound_beside_0_shows_its_side():
    assert Interval(-0.03, -0.056, -0.0003).signed == "-0.030 [-0.056, -0.0003]"
    assert Interval(0.001, 0.00004, 0.002).signed == "+0.001 [+0.00004, +0.002]"
    assert Interval(0.001, 0.0, 0.002).signed == "+0.001 [+0.000, +0.002]"
    assert Interval(-0.01, -0.022, 0.0003).signed == "-0.010 [-0.022, +0.000]"  # 0 is inside, as it looks
    assert Interval(3e-5, 1e-5, 5e-5).signed == "+0.000 [+0.000, +0.000]"  # nothing, whatever its sign


# -- lifts -------------------------------------------------------------------------------------------


class Made(Result):
    """A result with its predictions given: the error of each molecule, in a group of its own."""

    predictions = {}  # noqa: RUF012  (in place of the property that reads a file)


def result(seed, errors, val=0.0, parameters=100.0, steps=10, seconds=1.0):
    metrics = {"val/score": val}
    totals = {"total_steps": steps, "total_train_seconds": seconds}
    found = Made(Path(), seed, metrics, {"cost": {"parameters": parameters}}, totals)
    found.predictions = {
        "id": np.array(sorted(errors)),
        "group": np.array(sorted(errors)),
        "target": np.array(["y"] * len(errors)),
        "predicted": np.array([errors[k] for k in sorted(errors)]),
        "measured": np.zeros(len(errors)),
    }
    return found


def table(*rows):
    targets = [{"name": "y", "unit": "", "kind": "regression", "spread": 2.0}]
    for row in rows:
        for r in row.results:
            r.record["data"] = {"targets": targets}
    return Table("t", "", [], list(rows))


def test_a_lift_is_positive_where_the_fusion_errs_less():
    part = Row("part", [result(0, {"a": 1.0, "b": 3.0})])
    better = Row("better", [result(0, {"a": 0.5, "b": 2.5}, parameters=150.0, steps=30)], parts=["part"])
    worse = Row("worse", [result(0, {"a": 2.0, "b": -4.0})], parts=["part"])
    for metric, scale in (("y/MAE", 1.0), ("score", 2.0)):  # the score counts in units of the training spread
        up, down = lifts(table(part, better, worse), metric)
        assert (up.row, up.against, up.role, up.metric) == ("better", "part", "part", metric)
        assert numbers(up.interval) == pytest.approx((0.5 / scale,) * 3)
        assert (up.parameters, up.steps) == (1.5, 3.0)
        assert numbers(down.interval) == pytest.approx((-1.0 / scale,) * 3)


def test_the_best_part_is_chosen_on_validation():
    """B is best on test, A on validation: the lift is over A, and is not helped by knowing the test split."""
    a = Row("A", [result(0, {"a": 3.0, "b": 3.0}, val=-1.0)])
    b = Row("B", [result(0, {"a": 1.0, "b": 1.0}, val=-2.0)])
    fused = Row("F", [result(0, {"a": 2.0, "b": 2.0})], parts=["B", "A"])
    (lift,) = lifts(table(a, b, fused), "y/MAE")
    assert lift.against == "A"
    assert lift.interval.mean == pytest.approx(1.0)


def test_the_control_stands_beside_the_part():
    part, control = Row("P", [result(0, {"a": 3.0})]), Row("C", [result(0, {"a": 1.0})])
    fused = Row("F", [result(0, {"a": 2.0})], parts=["P"], control="C")
    found = {x.role: x.interval.mean for x in lifts(table(part, control, fused), "y/MAE")}
    assert found == {"part": pytest.approx(1.0), "control": pytest.approx(-1.0)}


def test_a_lift_on_score_must_stand_the_test_of_all_pairs():
    """Of two molecules no test says anything; other metrics go by their interval."""
    part, fused = Row("P", [result(0, {"a": 3.0, "b": 2.0})]), Row("F", [result(0, {"a": 2.0, "b": 1.0})], parts=["P"])
    made = table(part, fused)
    (on_score,), (on_error,) = lifts(made, "score"), lifts(made, "y/MAE")
    assert on_score.interval.low > 0
    assert (on_score.p, on_score.verdict) == (0.5, "not distinguishable")  # of 4 patterns of signs 2 are as extreme
    assert on_error.verdict == "better"


def test_training_time_by_seed():
    """10 and 30 seconds over 10 and 20: 40 / 30 in all, 1 and 1.5 by seed."""
    part = Row("P", [result(s, {"a": 1.0}, seconds=t) for s, t in ((0, 10.0), (1, 20.0))])
    fused = Row("F", [result(s, {"a": 1.0}, seconds=t) for s, t in ((0, 10.0), (1, 30.0), (2, 99.0))], parts=["P"])
    (lift,) = lifts(table(part, fused), "score")
    assert lift.seconds == Times(pytest.approx(4 / 3), 1.0, 1.5)


def test_pairs_share_seed_and_molecule():
    """Seed 1 is only in one of them and molecule c only in the other: neither counts."""
    part = Row("P", [result(0, {"a": 1.0, "b": 1.0, "c": 50.0})])
    fused = Row("F", [result(0, {"a": 0.5, "b": 0.5}), result(1, {"a": 90.0, "b": 90.0})], parts=["P"])
    (lift,) = lifts(table(part, fused), "y/MAE")
    assert numbers(lift.interval) == pytest.approx((0.5,) * 3)


def test_pairing_removes_what_molecules_share():
    """Molecules differ by thousands, the fusion errs less by 0.1 on each: unpaired intervals would drown that."""
    hard = {f"m{i}": 1000.0 * i for i in range(1, 30)}
    part = Row("P", [result(0, hard)])
    fused = Row("F", [result(0, {k: v - 0.1 for k, v in hard.items()})], parts=["P"])
    made = table(part, fused)
    (lift,) = lifts(made, "y/MAE")
    assert lift.interval.excludes(0)
    alone = interval(part, "y/MAE", made.targets)
    assert alone is not None
    assert alone.high - alone.low > 1000


def test_no_lift_without_results_or_without_a_mean():
    part, empty = Row("P", [result(0, {"a": 1.0})]), Row("E")
    fused = Row("F", [result(0, {"a": 1.0})], parts=["E", "gone"], control="gone")
    assert lifts(table(part, empty, fused), "y/MAE") == []
    fused.parts = ["P"]
    assert lifts(table(part, fused), "y/R2") == []  # of one molecule there is none
    assert interval(part, "y/R2", table(part).targets) is None
    assert interval(part, "m2t/R@1", table(part).targets) is None  # another task's
    assert interval(empty, "y/MAE", table(part).targets) is None

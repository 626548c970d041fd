import numpy as np
import pytest

from molfusion.report.paired import comparisons, holm, sign_flip, which_differ
from molfusion.report.results import Row
from tests.report.test_statistics import numbered, result, table


def test_holm_by_hand():
    # Sorted .01 .02 .03 .04 times 4 3 2 1: .04 .06 .06 .04, made monotone.
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []


def test_sign_flip_is_exact_for_few_groups():
    """Four groups, all in favour: of 16 sign patterns, two are as extreme."""
    assert sign_flip(np.array([[1.0, 2.0, 1.5, 0.5]]), numbered(0, 1, 2, 3)) == pytest.approx(2 / 16)
    # Molecules of one group flip together: four molecules in two groups are two patterns of four.
    assert sign_flip(np.array([[1.0, 2.0, 1.5, 0.5]]), numbered(0, 0, 1, 1)) == pytest.approx(2 / 4)
    assert sign_flip(np.zeros((2, 3)), numbered(0, 1, 2)) == 1.0


def test_false_alarms_are_as_rare_as_promised():
    """No difference at all: p below 0.05 in about one of twenty tables."""
    rng = np.random.default_rng(0)
    alarms = [sign_flip(rng.normal(size=(3, 12)), numbered(*range(12))) < 0.05 for _ in range(300)]
    assert 0.02 < np.mean(alarms) < 0.09


def errors(rng, shift, count=40):
    return {f"m{i:02}": float(abs(rng.normal(1.0)) + shift) for i in range(count)}


def rows(shift):
    """Two rows of three seeds over the same molecules; the second errs by `shift` more."""
    rng = np.random.default_rng(1)
    base = [errors(rng, 0.0) for _ in range(3)]
    a = Row("A", [result(s, e) for s, e in enumerate(base)])
    b = Row("B", [result(s, {k: v + shift + rng.normal(scale=0.1) for k, v in e.items()}) for s, e in enumerate(base)])
    return a, b


def test_a_real_difference_is_found_and_none_is_not():
    (found,) = comparisons(table(*rows(0.5)), "y/MAE")
    assert (found.row, found.other, found.verdict) == ("A", "B", "better")
    assert found.interval.mean == pytest.approx(0.5, abs=0.05)
    assert found.p < 0.01
    (none,) = comparisons(table(*rows(0.0)), "y/MAE")
    assert none.verdict == "not distinguishable"


def test_seeds_that_disagree_are_no_difference():
    """Every molecule differs in the mean, but one seed says the opposite: the test alone would call it."""
    same = {f"m{i:02}": 1.0 for i in range(40)}
    a = Row("A", [result(s, same) for s in range(2)])
    b = Row("B", [result(s, dict.fromkeys(same, 1.0 + d)) for s, d in enumerate((0.9, -0.3))])
    (found,) = comparisons(table(a, b), "y/MAE")
    assert found.p < 0.01
    assert found.verdict == "not distinguishable"


def test_a_baseline_meets_every_seed_and_all_pairs_are_asked():
    a, b = rows(0.5)
    baseline = Row("(mean)", [result(None, {f"m{i:02}": 3.0 for i in range(40)})], baseline=True)
    found = comparisons(table(a, b, baseline), "y/MAE")
    assert [(c.row, c.other) for c in found] == [("A", "B"), ("A", "(mean)"), ("B", "(mean)")]
    assert [c.verdict for c in found] == ["better"] * 3


def test_metrics_that_are_no_means_are_compared_too():
    (found,) = comparisons(table(*rows(0.5)), "y/RMSE")
    assert found.verdict == "better"
    (none,) = comparisons(table(*rows(0.0)), "y/RMSE")
    assert none.verdict == "not distinguishable"
    assert comparisons(table(*rows(0.5)), "y/nothing") == []


def test_the_grid_says_it_from_both_sides():
    a, b = rows(0.5)
    found = which_differ(table(a, b), "y/MAE")
    assert found.rows == [["A", "B", "–", "–"], ["B", "–", "–", "A"]]
    assert which_differ(table(a), "y/MAE").rows == []


def test_rows_that_nothing_is_known_of_are_left_out():
    """A line of dashes would read as if they differed from nobody."""
    a, b = rows(0.5)
    found = which_differ(table(a, b, Row("(silent)", [result(None, {})], baseline=True)), "y/MAE")
    assert [row[0] for row in found.rows] == ["A", "B"]
    assert found.note.endswith("Left out, as there is no `y/MAE` of theirs to compare: (silent).")

import numpy as np
import pytest

from molfusion.batch import Record
from molfusion.data.borrow import donors, how


def records(*groups):
    return [Record(f"m{i}", "C", "C", group=g) for i, g in enumerate(groups)]


def test_shuffled_views_come_from_other_molecules_and_each_is_lent_once():
    made = records("a", "a", "a", "b", "c", "c", "", "", "d")
    for seed in range(20):
        found = donors(made, "shuffle", seed)
        assert sorted(found) == list(range(len(made)))
        assert all(made[i].group != made[j].group or not made[i].group for i, j in enumerate(found))
        assert all(i != j for i, j in enumerate(found))
    assert (donors(made, "shuffle", 1) == donors(made, "shuffle", 1)).all()
    assert (donors(made, "shuffle", 1) != donors(made, "shuffle", 2)).any()


def test_a_blank_is_the_same_for_all():
    assert donors(records("a", "b", "c"), "blank").tolist() == [0, 0, 0]


def test_twins_swap_within_their_molecule():
    found = donors(records("a", "b", "a", "", "b", "b"), "twin")
    assert found.tolist()[:4:2] == [2, 0]
    assert found[3] == 3
    assert sorted(found[[1, 4, 5]]) == [1, 4, 5]
    assert all(found[i] != i for i in (1, 4, 5))


def test_a_record_that_is_asked_twice_is_not_its_own_twin():
    """Records are there once more under each scope, with the same id and views."""
    a, b = records("g", "g")
    found = donors([a, b, b], "twin")
    assert found[0] in (1, 2)
    assert found[1] == found[2] == 0


def test_nothing_to_swap():
    for way in ("shuffle", "blank", "twin"):
        assert donors([], way).shape == (0,)
        assert donors(records("a"), way).tolist() == [0]
    assert np.array_equal(donors(records("a", "a"), "shuffle"), [0, 1])  # one molecule: nobody else to ask


def test_an_unknown_way():
    with pytest.raises(ValueError, match=r"'swap' is no way .* shuffle, blank, twin"):
        how("swap")

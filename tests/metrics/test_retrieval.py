import numpy as np
import pytest

from molfusion.metrics.retrieval import (
    both_directions,
    candidates_only,
    named,
    ranks,
    recall,
    reciprocal,
    reranked,
    rows,
    summary,
    wilson,
    within_pools,
)


def test_hand_checked_ranks():
    scores = np.array([[3.0, 1, 2], [1, 2, 3], [5, 5, 5]])
    found = ranks(scores, [0, 1, 2])
    assert found.better.tolist() == [0, 1, 0]
    assert found.tied.tolist() == [0, 0, 2]
    assert found.middle.tolist() == [1, 2, 2]
    assert recall(found, 1).tolist() == [1, 0, pytest.approx(1 / 3)]
    assert recall(found, 2).tolist() == [1, 1, pytest.approx(2 / 3)]
    assert reciprocal(found).tolist() == [1, 0.5, pytest.approx((1 + 1 / 2 + 1 / 3) / 3)]


def test_ties_are_an_average_over_all_orders():
    """Against brute force: every order of tied candidates, equally likely."""
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 3, size=(20, 8)).astype(float)
    truth = rng.integers(0, 8, size=20)
    found = ranks(scores, truth)
    for q in range(20):
        hits, inverse = [], []
        for _ in range(4000):
            jitter = scores[q] + rng.random(8) * 1e-3
            place = int((jitter > jitter[truth[q]]).sum())
            hits.append(place < 3)
            inverse.append(1 / (place + 1))
        assert recall(found, 3)[q] == pytest.approx(np.mean(hits), abs=0.04)
        assert reciprocal(found)[q] == pytest.approx(np.mean(inverse), abs=0.03)


def test_blind_scores_are_exactly_chance():
    found = summary(ranks(np.zeros((50, 50)), np.arange(50)))
    assert found["R@1"] == pytest.approx(1 / 50)
    assert found["R@10"] == pytest.approx(10 / 50)
    assert found["median_rank"] == 25.5
    assert found["pool"] == 50


def test_float_noise_is_a_tie():
    scores = np.full((1, 4), 0.5) + np.array([[0, 1e-7, -1e-7, 0.1]])
    found = ranks(scores, [0])
    assert (found.better[0], found.tied[0]) == (1, 2)


def test_pools():
    scores = np.array([[1.0, 0, 9, 9], [0, 1, 9, 9], [9, 9, 0, 1], [9, 9, 0, 1]])
    queries, found = within_pools(scores, ["a", "a", "b", "b"])
    assert queries.tolist() == [0, 1, 2, 3]
    assert recall(found, 1).tolist() == [1, 1, 0, 1]
    assert found.pool.tolist() == [2, 2, 2, 2]
    queries, _ = within_pools(scores, ["a", "", "b", ""])  # pools of one say nothing
    assert len(queries) == 0


def test_rerank_misses_what_was_no_candidate():
    scores = np.array([[0.9, 0.8, 0.1], [0.9, 0.8, 0.1], [0.5, 0.4, 0.3]])
    chosen = candidates_only(scores, 2)
    assert chosen.tolist() == [[True, True, False]] * 3
    found = reranked(scores + np.array([[0, 1, 0]] * 3), chosen)
    assert recall(found, 1).tolist() == [0, 1, 0]
    assert recall(found, 3).tolist() == [1, 1, 0]


def test_names_and_rows():
    found = both_directions(np.eye(4), ["a", "a", "", ""])
    metrics = named(found, "all")
    assert metrics["m2t/R@1"] == metrics["t2m/R@1"] == metrics["score"] == 1
    assert metrics["m2t/pool_accuracy"] == 1
    assert metrics["m2t/pool_chance"] == 0.5
    assert set(named(found, "3d")) == {f"3d/{k}" for k in metrics if k != "score"}
    table = rows(found, list("wxyz"), list("gghh"), "all")
    assert len(table) == 2 * (4 + 2)
    assert table[0] == {
        "id": "w", "group": "g", "scope": "all", "direction": "m2t", "pool": "all", "better": 0, "tied": 0, "candidates": 4,
        "found": ["w", "x", "y", "z"],
    }  # fmt: skip
    assert [row["found"] for row in table if row["pool"] == "pool"] == [None] * 4


def test_wilson():
    low, high = wilson(50, 100)
    assert (low, high) == (pytest.approx(0.4038, abs=1e-3), pytest.approx(0.5962, abs=1e-3))
    assert wilson(0, 0) == (0, 1)

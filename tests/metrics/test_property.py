import numpy as np
import pytest

from molfusion.batch import Target
from molfusion.metrics.property import scores, selection_score

Y = Target("y", "eV")
C = Target("c", kind="classification")


def test_by_hand():
    found = scores(np.array([[1.0], [2.0], [5.0]]), np.array([[1.0], [4.0], [np.nan]]), [Y])
    assert found["y/MAE"] == 1
    assert found["y/RMSE"] == pytest.approx(np.sqrt(2))
    assert found["y/R2"] == pytest.approx(1 - 4 / 4.5)


def test_classes():
    found = scores(np.array([[0.1], [0.4], [0.35], [0.8]]), np.array([[0.0], [0], [1], [1]]), [C])
    assert found == {"c/ROC-AUC": 0.75}
    assert scores(np.array([[0.1], [0.4]]), np.array([[1.0], [1.0]]), [C]) == {}  # one class only


def test_selection_is_higher_for_better():
    y = np.array([[1.0, 0], [2.0, 1], [3.0, 1]])
    good, bad = y.copy(), y.copy()
    bad[:, 0] += 1
    bad[:, 1] = 1 - bad[:, 1]
    both = [Y, C]
    assert selection_score(good, y, both, np.ones(2)) > selection_score(bad, y, both, np.ones(2))


def test_r2_needs_unequal_values():
    found = scores(np.array([[0.1], [0.5]]), np.array([[0.3], [0.3]]), [Target("y")])
    assert found == {"y/MAE": pytest.approx(0.2), "y/RMSE": pytest.approx(0.2)}

import numpy as np
import pytest

from molfusion.batch import Geometry, Record
from molfusion.views import ConformerView, OptionalConformerView, ViewError

KNOWN = Record("a", "CO", "CO", Geometry(np.array([6, 8], np.uint8), np.eye(2, 3, dtype=np.float32)))
UNKNOWN = Record("b", "CC", "CC", Geometry(np.array([6, 6], np.uint8), np.full((2, 3), np.nan, np.float32)))


def test_a_molecule_without_one_is_an_empty_row():
    view = OptionalConformerView()
    with pytest.raises(ViewError, match="not a finite number"):
        ConformerView().featurise(UNKNOWN)
    found = view.collate([view.featurise(r) for r in (KNOWN, UNKNOWN)])
    assert found.mask.tolist() == [[True, True], [False, False]]
    assert found.positions[0].tolist() == [[1, 0, 0], [0, 1, 0]]
    assert found.positions[1].abs().sum() == 0


def test_the_others_are_as_ever():
    required, optional = ConformerView(hydrogens=True), OptionalConformerView(hydrogens=True)
    one, two = required.featurise(KNOWN), optional.featurise(KNOWN)
    assert all(np.array_equal(one[k], two[k]) for k in one)
    assert required.name() != optional.name()


def test_a_batch_without_any():
    view = OptionalConformerView()
    found = view.collate([view.featurise(UNKNOWN)] * 2)
    assert found.mask.shape[0] == 2
    assert not found.mask.any()

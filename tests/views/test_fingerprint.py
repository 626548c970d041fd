import pytest

from molfusion.batch import Record
from molfusion.views import FingerprintView, ViewError


def test_kinds_stand_side_by_side():
    both, ecfp = FingerprintView(bits=64), FingerprintView(kinds=("ecfp",), bits=64)
    record = Record("a", "CCOC(=O)C", "CCOC(C)=O")
    whole, part = (v.collate([v.featurise(record)]).counts for v in (both, ecfp))
    assert whole.shape == (1, 128)
    assert whole[0, :64].tolist() == part[0].tolist()
    assert whole.sum() > part.sum() > 0


def test_blind_to_stereo():
    view = FingerprintView()
    left, right = (view.featurise(Record("a", s, s)) for s in ("N[C@@H](C)O", "N[C@H](C)O"))
    assert left["index"].tolist() == right["index"].tolist()


def test_unparsable():
    with pytest.raises(ViewError, match="not a SMILES"):
        FingerprintView().featurise(Record("a", "((", "(("))

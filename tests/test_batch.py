import numpy as np
import pytest
import torch

from molfusion.batch import MoleculeBatch, Record, length_mask, pad
from molfusion.views import FingerprintView, TextView
from molfusion.views.fingerprint import Fingerprints


def batch(views):
    blank = ["a", "b"]
    return MoleculeBatch(blank, blank, blank, blank, blank, blank, blank, torch.zeros(2, 1), views)


def test_pad_fills_on_the_right():
    out = pad([np.array([[1, 2]]), np.array([[3, 4], [5, 6]])], value=9)
    assert out.tolist() == [[[1, 2], [9, 9]], [[3, 4], [5, 6]]]


def test_length_mask():
    assert length_mask([1, 3]).tolist() == [[True, False, False], [True, True, True]]


def test_equal_views_are_one_key_and_different_settings_are_not():
    held = Fingerprints(torch.ones(2, 4))
    made = batch({FingerprintView(bits=8): held})
    assert made[FingerprintView(bits=8)] is held
    with pytest.raises(KeyError, match=r"no FingerprintView\(.*bits=16.*carries FingerprintView\(.*bits=8"):
        made[FingerprintView(bits=16)]


def test_to_moves_every_tensor_and_keeps_the_strings():
    moved = batch({FingerprintView(): Fingerprints(torch.ones(2, 4))}).to(torch.float64)
    assert moved.targets.dtype == moved[FingerprintView()].counts.dtype == torch.float64
    assert moved.ids == ["a", "b"]
    assert len(moved) == 2


def test_padding_is_reported_per_view():
    view = TextView()
    texts = view.collate([view.featurise(Record("", "C", "C", text=t)) for t in ("", "one two three four")])
    share = batch({view: texts}).padding()["TextView"]
    assert share == pytest.approx(1 - texts.mask.float().mean().item())
    assert share > 0

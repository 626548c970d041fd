import numpy as np
import pytest
import torch

from molfusion.batch import Record
from molfusion.data.prepare import prepare
from molfusion.data.store import Entry, ViewStore
from molfusion.views import TokensView
from molfusion.views.tokens import TokensError

ETHANOL, METHANE = Record("a", "CCO", "CCO"), Record("b", "C", "C")
X = torch.tensor([[1.0, -2.0], [0.5, 3.25]])  # exact in every dtype


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_what_is_packed_comes_out_padded(dtype):
    view = TokensView("UniMol-0", dtype)
    batch = view.collate([view.pack(X), view.pack(X[1:])])
    assert batch.x.dtype == getattr(torch, dtype)
    assert batch.x.float().tolist() == [[[1.0, -2.0], [0.5, 3.25]], [[0.5, 3.25], [0.0, 0.0]]]
    assert batch.mask.tolist() == [[True, True], [True, False]]


@pytest.mark.parametrize(("dtype", "bytes_"), [("float32", 4), ("bfloat16", 2), ("float16", 2)])
def test_the_store_keeps_every_dtype(dtype, bytes_, tmp_path):
    view = TokensView("UniMol-0", dtype)
    store = ViewStore(tmp_path, view)
    records = [(ETHANOL, X), (METHANE, X[1:])]
    store.append([Entry(view.key(r), r.id, r.smiles, "ok", "", 0.0, view.pack(x)) for r, x in records])
    opened = ViewStore(tmp_path, view)
    found = opened.get(ETHANOL)["x"]
    assert found.nbytes == 4 * bytes_
    assert not found.flags.owndata  # memory-mapped: not read before it is asked for
    batch = view.collate([opened.get(METHANE), opened.get(ETHANOL)])
    assert batch.x.float().tolist() == [[[0.5, 3.25], [0.0, 0.0]], [[1.0, -2.0], [0.5, 3.25]]]


def test_what_half_precision_loses():
    """1 + 2⁻⁸ lies half-way between two bfloat16 (even one taken), and is a float16."""
    x = torch.tensor([[1 + 2**-8]])
    for dtype, expected in (("bfloat16", 1.0), ("float16", 1 + 2**-8), ("float32", 1 + 2**-8)):
        view = TokensView("UniMol-0", dtype)
        assert view.collate([view.pack(x)]).x.float().item() == expected


def test_what_a_dtype_cannot_hold_is_refused():
    with pytest.raises(TokensError, match="a token holds 70000, which float16 does not"):
        TokensView("UniMol-0", "float16").pack(torch.tensor([[7e4]]))
    assert TokensView("UniMol-0", "bfloat16").pack(torch.tensor([[7e4]]))["x"].dtype == np.int16
    with pytest.raises(TokensError, match="a token holds nan"):
        TokensView("UniMol-0").pack(torch.tensor([[float("nan")]]))


def test_its_identity_is_the_encoder_and_the_dtype():
    view = TokensView("UniMol-0")
    assert len({v.name() for v in (view, TokensView("UniMol-1"), TokensView("UniMol-0", "float16"))}) == 3
    assert TokensView("UniMol-0", pads="pairs") == view
    assert TokensView("UniMol-0", pads="pairs").name() == view.name()


def test_nothing_but_the_export_fills_its_store(tmp_path):
    view = TokensView("UniMol-0")
    assert prepare([ETHANOL], [view], tmp_path) == []
    assert list(tmp_path.iterdir()) == []
    store = ViewStore(tmp_path, view)
    assert not store.has(ETHANOL)
    told = r"^a \(CCO\) has no cached tokens of the encoder UniMol-0 in float32: .*`molfusion export RUN --tokens"
    for ask in (store.get, view.featurise):
        with pytest.raises(TokensError, match=told):
            ask(ETHANOL)

import pytest
import torch
from safetensors.torch import save_file

from molfusion.encoders import GIN, Fingerprint, Frozen, TextEncoder, merge_views, restore
from molfusion.encoders.base import Aligned, WeightsError
from molfusion.fusion import QFormer
from tests import contract


def test_frozen_stays_frozen():
    inner = Fingerprint(dim=8, hidden=16, bits=64)
    frozen = Frozen(inner)
    frozen.train()
    assert not inner.training
    assert not [p for p in frozen.parameters() if p.requires_grad]
    tokens = frozen(contract.collate(frozen, contract.records()))
    assert not tokens.x.requires_grad
    assert (frozen.dim, frozen.views) == (8, inner.views)


def test_equal_views_are_merged():
    first, second, other = (Fingerprint(bits=b) for b in (64, 64, 128))
    assert len(merge_views(first, second, None)) == 1
    assert len(merge_views(first, other)) == 2


def test_restore_is_strict(tmp_path):
    weights = tmp_path / "w.safetensors"
    source = GIN(dim=8, layers=1)
    save_file(source.state_dict(), weights)
    found = restore(GIN(dim=8, layers=1), weights)
    assert all(torch.equal(v, found.state_dict()[k]) for k, v in source.state_dict().items())
    with pytest.raises(ValueError, match=r"lacks layers.1"):
        restore(GIN(dim=8, layers=2), weights)
    with pytest.raises(ValueError, match=r"chirality.weight is \[3, 8\], expected \[3, 16\]"):
        restore(GIN(dim=16, layers=1), weights)
    with pytest.raises(WeightsError, match="molfusion export"):
        restore(source, tmp_path / "nowhere")


def test_capabilities_are_what_a_class_can_do():
    gin = GIN(dim=8, layers=1)
    assert isinstance(QFormer(gin, dim=16, heads=2, layers=1, ffn=16), Aligned)
    assert not isinstance(gin, Aligned)
    assert not isinstance(TextEncoder(dim=16, heads=2, layers=1), Aligned)

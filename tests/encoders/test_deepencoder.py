from dataclasses import replace

import pytest
import torch

from molfusion.chem.corrupt import Corruption
from molfusion.chem.image import Style
from molfusion.encoders import GIN, CachedTokens, DeepEncoder, Frozen
from molfusion.encoders.cached import encoder_digest
from molfusion.encoders.deepencoder import Global, Local, merged
from molfusion.fusion import CrossAttention
from molfusion.nn.clip_tower import CLIPTower
from molfusion.views.image import ImageView
from tests import contract

SIZES = {"local": Local(8, 2, 2, 4, 2, (1,), (4, 8, 8)), "globally": Global(1, 2, 16, 2)}
VIEW = ImageView(48, 48, whole=32, tile=16)


def made(crops="auto", **settings):
    torch.manual_seed(0)
    return DeepEncoder(VIEW, crops, **{**SIZES, **settings}).eval()


def test_tokens_of_tiles_then_of_the_whole():
    encoder = made()
    assert encoder.grids == ((2, 2), (2, 2))  # 2 × 2 tiles of 1 token each; 32 / 4 / 4
    batch = contract.collate(encoder, contract.records())
    images = batch[encoder.view]
    found = encoder(batch)
    assert found.x.shape == (6, 8, encoder.dim)
    assert found.mask.all()
    assert torch.equal(found.x[:, 4:], encoder.see(images.normalise()))
    lower_left = encoder.see(images.normalise_tiles()[:, 2])
    torch.testing.assert_close(found.x[:, 2:3], lower_left)


def test_crops_off():
    encoder = made("off")
    assert encoder.view.tiling == "whole"
    assert encoder.grids == ((2, 2),)
    assert encoder(contract.collate(encoder, contract.records())).x.shape == (6, 4, encoder.dim)


def test_a_small_drawing_is_not_cut():
    encoder = DeepEncoder(replace(VIEW, width=16, height=16), **SIZES)
    assert encoder.grids == ((2, 2),)


@pytest.mark.parametrize("view", [VIEW, replace(VIEW, width=90, height=30), replace(VIEW, whole=40, tile=24)])
def test_grids_are_what_comes_out(view):
    encoder = DeepEncoder(view, **SIZES).eval()
    batch = contract.collate(encoder, contract.records()[:1])
    assert encoder(batch).x.shape[1] == sum(rows * columns for rows, columns in encoder.grids)


def test_one_at_a_time_is_the_same():
    batch = contract.collate(made(), contract.records())
    torch.testing.assert_close(made(at_once=1)(batch).x, made()(batch).x)
    with pytest.raises(ValueError, match="at least one image"):
        made(at_once=0)


def test_merging_goes_row_by_row_over_the_whole():
    # Two tiles side by side, 2 × 2 tokens each.
    tiles = torch.tensor([[[0, 1, 4, 5], [2, 3, 6, 7]]]).unsqueeze(-1)
    assert merged(tiles, (2, 1)).flatten().tolist() == list(range(8))
    assert merged(tiles, (1, 2)).flatten().tolist() == [0, 1, 4, 5, 2, 3, 6, 7]


def test_first_half_is_clips():
    encoder = made("off")
    batch = contract.collate(encoder, contract.records())
    pixels = batch[encoder.view].normalise()
    features = encoder.sam(pixels).last_hidden_state
    found = encoder(batch).x
    torch.testing.assert_close(found[..., 8:], features.flatten(2).transpose(1, 2))
    torch.testing.assert_close(found[..., :8], encoder.clip(features)[:, 1:])


def test_clip_stretches_its_positions_but_not_cls():
    tower = CLIPTower(4, 1, 2, 8, side=2)
    wide = tower.embed(torch.zeros(1, 4, 5, 5))[0]
    assert wide.shape == (26, 4)
    torch.testing.assert_close(wide[0], tower.cls + tower.positions[0])
    with torch.no_grad():
        tower.positions[1:] = 3.0
    torch.testing.assert_close(tower.embed(torch.zeros(1, 4, 5, 5))[0, 1:], torch.full((25, 4), 3.0))


def test_starts_where_it_can_learn():
    """The library's own start is all but zero; and drawings must not all look alike."""
    encoder = made("off")
    tokens = encoder(contract.collate(encoder, contract.records())).x.mean(1)
    spread = tokens.std(0).norm() / tokens.norm(dim=1).mean()
    assert spread > 0.2
    white = encoder.sam.patch_embed(torch.ones(1, 3, 32, 32))
    torch.testing.assert_close(white, encoder.sam.patch_embed.projection.bias.expand_as(white))


# -- frozen, and looked up ---------------------------------------------------------------------------


def test_stored_tokens_take_its_place():
    encoder = made()
    cached = CachedTokens(encoder, encoder_digest(encoder))
    chosen = contract.records()
    batch = contract.collate(encoder, chosen)
    with torch.no_grad():
        tokens = encoder(batch).x
    stored = contract.collate(GIN(4, 1), chosen)
    stored.views[cached.view] = cached.view.collate([cached.view.pack(x) for x in tokens])
    fused = CrossAttention(cached, GIN(4, 1), 4, 2, layout=True).eval()
    assert fused.views == {cached.view} | fused.context.views
    free = CrossAttention(Frozen(encoder), GIN(4, 1), 4, 2, layout=True).eval()
    free.load_state_dict(fused.state_dict())
    stored.views |= batch.views
    torch.testing.assert_close(fused(stored).x, free(stored).x)


def test_the_digest_names_all_that_tokens_depend_on():
    view = replace(VIEW, corruption=Corruption(noise=0.1))
    others = [made("off"), made(), *(_of(v) for v in (view, replace(VIEW, style=Style(looks="bw")), replace(VIEW, tile=12)))]
    assert len({encoder_digest(e) for e in others}) == len(others)
    assert encoder_digest(made(at_once=1)) == encoder_digest(made())


def _of(view):
    torch.manual_seed(0)
    return DeepEncoder(view, **SIZES)

"""`mask: legacy_inverted`: what the official code's inverted mask computes, independent of what else is in the batch."""

import pytest
import torch

from molfusion.encoders import Fingerprint, UniMol
from molfusion.encoders.base import Frozen, NotApplicable
from molfusion.fusion import QFormer
from tests import contract


def encoder(spare=1):
    torch.manual_seed(0)
    return UniMol(16, 2, 32, 4, 8, dropout=0.0, spare_padding=spare)


def queries(inner, mask="legacy_inverted"):
    torch.manual_seed(1)
    return QFormer(inner, 2, 32, 2, 2, 48, 1, 16, dropout=0.0, mask=mask).eval()


@torch.no_grad()
def test_queries_see_padding_and_nothing_else():
    model = queries(encoder())
    batch = contract.collate(model, contract.records())
    tokens = model.encoder(batch)
    before = model.read(tokens).queries
    scrambled = torch.where(tokens.mask.unsqueeze(-1), torch.randn_like(tokens.x), tokens.x)
    torch.testing.assert_close(model.read(tokens._replace(x=scrambled)).queries, before)
    scrambled = torch.where(tokens.mask.unsqueeze(-1), tokens.x, torch.randn_like(tokens.x))
    assert not torch.allclose(model.read(tokens._replace(x=scrambled)).queries, before)


@torch.no_grad()
def test_the_result_does_not_depend_on_the_batch():
    model = queries(encoder())
    contract.check_alone(model)
    more = queries(encoder(spare=7))
    batch = contract.collate(model, contract.records())
    torch.testing.assert_close(more(batch).x, model(batch).x)


def test_spare_padding_changes_nothing_else():
    plain, spare = queries(encoder(0), "correct"), queries(encoder(3), "correct")
    batch = contract.collate(plain, contract.records())
    torch.testing.assert_close(spare(batch).x, plain(batch).x)


def test_losses_and_matching_run():
    model = queries(Frozen(encoder()))
    batch = contract.collate(model, contract.records())
    sum(model.losses(batch).values()).backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
    items = model.match_items(batch)
    assert all(len(i.states) >= 1 for i in items)


def test_an_encoder_without_padding_for_sure():
    for inner in (Fingerprint(bits=64), encoder(0), Frozen(encoder(0))):
        with pytest.raises(NotApplicable, match=r"leaves none for sure: use a UniMol with spare_padding: 1"):
            queries(inner)

import math

import pytest
import torch

from molfusion.decoders import SelfiesDecoder
from molfusion.decoders.base import Reconstructs
from molfusion.encoders import GIN, Autoencoder, Autoencoding, Fingerprint, Frozen, Objective, Projection, TextEncoder
from molfusion.encoders.autoencoder import Posterior
from molfusion.encoders.base import NotApplicable
from tests import contract


def autoencoder(encoder=None, **settings):
    torch.manual_seed(0)
    decoder = SelfiesDecoder(6, hidden=16, embed=8)
    return Autoencoder(encoder or Projection(GIN(12, 2), 10, norm=True), decoder, hidden=14, **settings)


def whole_batch(model):
    batch = contract.collate(model, contract.records())
    more = model.decoder.views if isinstance(model, Autoencoder) else model.views
    batch.views |= {v: v.collate([v.featurise(r) for r in contract.records()]) for v in more}
    return batch


@pytest.mark.parametrize(
    "check", [contract.check_shape, contract.check_alone, contract.check_train_is_eval], ids=lambda f: f.__name__
)
def test_contract(check):
    check(autoencoder())


def test_round_trip():
    contract.check_round_trip(autoencoder(), autoencoder())


def test_one_latent_a_molecule():
    model = autoencoder()
    assert model.dim == model.decoder.dim == 6
    assert model(contract.collate(model, contract.records())).x.shape == (6, 1, 6)
    assert model.views == model.encoder.views  # the decoder's are for training


def test_posterior_by_hand():
    """A standard normal is at no distance from itself; mean 1 costs half a nat, variance 1/e costs 1/2 · 1/e."""
    zero = torch.zeros(3, 1)
    assert Posterior(zero, zero).divergence().item() == 0
    assert Posterior(zero + 1, zero).divergence().item() == pytest.approx(0.5)
    assert Posterior(zero, zero - 1).divergence().item() == pytest.approx(0.5 * math.exp(-1))
    narrow = Posterior(torch.full((1, 4), 2.0), torch.full((1, 4), -40.0))
    torch.testing.assert_close(narrow.sample(), narrow.mean, atol=1e-6, rtol=0)


def test_no_latent_is_wider_than_the_prior():
    posterior = autoencoder().posterior(whole_batch(autoencoder()))
    assert (posterior.log_variance <= 0).all()
    assert posterior.mean.dtype == torch.float32


def test_losses_and_gradients():
    objective = Autoencoding(autoencoder())
    assert isinstance(objective, Objective)
    assert isinstance(objective, Reconstructs)
    assert objective.views == objective.encoder.views | objective.encoder.decoder.views
    batch = whole_batch(objective.encoder)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses = objective.losses(batch)
    assert set(losses) == {"reconstruction", "kl"}
    sum(losses.values()).backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in objective.parameters())
    found = objective.eval().reconstruct(batch)
    assert len(found) == 6


def test_frozen_inside():
    model = autoencoder(Frozen(Fingerprint(dim=8, hidden=8, bits=64)))
    Autoencoding(model).losses(whole_batch(model))["kl"].backward()
    assert all(p.grad is None for p in model.encoder.parameters())
    assert model.hidden.weight.grad.abs().sum() > 0


def test_compat_shows_others_what_training_never_saw():
    sane, released = autoencoder(), autoencoder(compat=True)
    released.load_state_dict(sane.state_dict())
    batch = whole_batch(sane)
    sane.eval(), released.eval()
    torch.testing.assert_close(released.posterior(batch).mean, sane(batch).x[:, 0])
    assert (released(batch).x - sane(batch).x).abs().max() > 1e-2
    assert torch.equal(released.shown(batch).mean, released(batch).x[:, 0])
    for encoder in (Fingerprint(bits=64), Projection(GIN(12, 2), 10)):
        with pytest.raises(NotApplicable, match="compat: needs a Projection with `norm: true`"):
            autoencoder(encoder, compat=True)


@pytest.mark.parametrize("pool", ["mean", "first"])
@pytest.mark.parametrize("norm", [False, True])
def test_projection(pool, norm):
    torch.manual_seed(0)
    model = Projection(TextEncoder(dim=16, heads=2, layers=1), 10, norm, pool)
    for check in (contract.check_shape, contract.check_alone, contract.check_train_is_eval):
        check(model)
    contract.check_gradients(model, torch.bfloat16)
    batch = contract.collate(model, contract.records())
    tokens = model.eval().encoder(batch)
    x = model.norm(tokens.x) if norm else tokens.x
    i, n = 1, int(tokens.mask[1].sum())
    pooled = x[i, 0] if pool == "first" else x[i, :n].mean(0)
    torch.testing.assert_close(model(batch).x[i, 0], model.head(pooled), atol=1e-5, rtol=1e-5)

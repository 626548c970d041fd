import pytest
import torch

from molfusion.chem.parse import canonical, parse
from molfusion.data.card import load_card
from molfusion.data.records import load_records
from molfusion.decoders import LatentDecoder, SelfiesDecoder
from molfusion.views.batches import batch_of
from molfusion.views.selfies import EOS, SelfiesView
from tests import contract
from tests.conftest import MOLECULES


def batch(decoder, chosen=None):
    return batch_of(chosen or contract.records(), decoder.views)


def test_it_is_a_latent_decoder():
    decoder = SelfiesDecoder(5, hidden=8, embed=4)
    assert isinstance(decoder, LatentDecoder)
    assert decoder.dim == 5
    assert decoder.views == {SelfiesView(length=128)}


def test_the_loss_is_the_sum_over_a_molecule_and_the_mean_over_molecules():
    torch.manual_seed(0)
    decoder = SelfiesDecoder(5, hidden=8, embed=4)
    records, latent = contract.records(), torch.randn(6, 5)
    alone = [decoder.reconstruction(latent[i : i + 1], batch(decoder, [r])) for i, r in enumerate(records)]
    torch.testing.assert_close(decoder.reconstruction(latent, batch(decoder)), torch.stack(alone).mean(), atol=1e-4, rtol=1e-4)


def test_gradients_reach_latent_and_parameters():
    torch.manual_seed(0)
    decoder, latent = SelfiesDecoder(5, hidden=8, embed=4, layers=2), torch.randn(6, 5, requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        decoder.reconstruction(latent, batch(decoder)).backward()
    assert latent.grad.abs().sum() > 0
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in decoder.parameters())


def test_word_dropout_is_for_training_only():
    torch.manual_seed(0)
    decoder, latent = SelfiesDecoder(5, hidden=8, embed=4, word_dropout=0.5), torch.randn(6, 5)
    given = batch(decoder)
    assert decoder.train().reconstruction(latent, given) != decoder.reconstruction(latent, given)
    decoder.eval()
    assert decoder.reconstruction(latent, given) == decoder.reconstruction(latent, given)


ODD = [torch.zeros(0, 5), torch.randn(7, 5) * 100, torch.full((2, 5), torch.nan), torch.full((1, 5), torch.inf)]


@pytest.mark.parametrize("latent", ODD, ids=["none", "large", "nan", "inf"])
def test_decode_never_raises(latent):
    torch.manual_seed(0)
    found = SelfiesDecoder(5, hidden=8, embed=4, length=40).decode(latent)
    assert len(found) == len(latent)
    assert all(s is None or canonical(parse(s)) == s for s in found)


def test_it_stops_where_all_have_ended():
    decoder = SelfiesDecoder(5, hidden=8, embed=4, length=200)
    torch.nn.init.zeros_(decoder.out.weight)
    decoder.out.bias.data[2] = 50.0  # [EOS]
    assert decoder.greedy(torch.randn(3, 5)).shape[1] <= 8
    assert decoder.decode(torch.randn(3, 5)) == [None] * 3


@pytest.mark.slow
def test_it_learns_by_heart():
    torch.manual_seed(0)
    decoder = SelfiesDecoder(8, hidden=64, embed=16)
    records = [r for r in _records() if decoder.view.decode(decoder.view.featurise(r)["ids"].tolist())]
    latent, given = torch.randn(len(records), 8), batch(decoder, records)
    optimizer = torch.optim.Adam(decoder.parameters(), lr=1e-2)
    for _ in range(120):
        loss = decoder.reconstruction(latent, given)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    decoder.eval()
    assert decoder.decode(latent) == [r.canonical for r in records]
    assert decoder.decode(latent[3:5]) == [r.canonical for r in records[3:5]]


def _records():
    from molfusion.batch import Record

    return [Record(f"c{i}", smiles, canonical(parse(smiles))) for i, (smiles, *_) in enumerate(MOLECULES)]


@pytest.mark.slow
def test_round_trip_of_real_molecules(cache):
    """Of the shipped molecules at least 99 % come back from their tokens, stereo included."""
    view = SelfiesView()
    molecules = {r.canonical: r for r in load_records(load_card("demo"), cache).records}
    back = [view.decode(view.featurise(r)["ids"].tolist()) == key for key, r in molecules.items()]
    assert sum(back) >= 0.99 * len(back)


def test_stopped_it_keeps_what_has_ended():
    torch.manual_seed(2)
    decoder, latent = SelfiesDecoder(5, hidden=8, embed=4, length=30), torch.randn(40, 5) * 3
    with torch.no_grad():  # some rows end early, some late, some never
        decoder.out.weight.normal_()
        decoder.start.weight.normal_()
        decoder.out.bias[EOS] = 5.0
    ended = (decoder.greedy(latent) == EOS).int().argmax(1)  # 0: at once, which is no molecule, or never
    whole = decoder.decode(latent)
    assert decoder.decode(latent, lambda: False) == whole
    assert decoder.decode(latent, lambda: True) == [None] * 40
    asked = iter(range(100))
    some = decoder.decode(latent, lambda: next(asked) == 10)
    assert some == [smiles if 0 < at < 10 else None for smiles, at in zip(whole, ended.tolist(), strict=True)]
    assert 0 < sum(smiles is not None for smiles in some) < sum(smiles is not None for smiles in whole)

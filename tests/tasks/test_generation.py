"""The three stages of latent diffusion on 24 molecules, one built on the other."""

import json

import pyarrow.parquet as pq
import pytest
import torch

from molfusion.build import build
from molfusion.cli import main
from molfusion.decoders import SelfiesDecoder
from molfusion.encoders import Autoencoder, CachedTokens, Fingerprint, Frozen, Projection, TextEncoder
from molfusion.encoders.base import NotApplicable
from molfusion.metrics.molecules import Comparison
from molfusion.nn.diffusion import Diffusion
from molfusion.tasks import Generation, Retrieval
from molfusion.tasks.generation import clean_text
from molfusion.views.batches import batch_of
from tests import contract
from tests.stages import built_on
from tests.tasks.helpers import config, fit


def weights(folder, name="last"):
    return torch.load(folder / "checkpoints" / f"{name}.ckpt", weights_only=True)["state_dict"]


# -- what a task says without training ----------------------------------------------------------------


def autoencoder():
    torch.manual_seed(0)
    prints = Fingerprint(dim=8, hidden=8, bits=64, dropout=0.0)
    return Autoencoder(prints, SelfiesDecoder(4, hidden=8, embed=4, length=30), hidden=8)


def text():
    return TextEncoder(dim=16, heads=2, layers=1)


def test_the_encoder_is_frozen_and_exported_as_it_was_given():
    encoder = autoencoder()
    task = Generation(encoder, text(), dim=8, depth=1)
    assert isinstance(task.encoder, Frozen)
    assert task.exports()["encoder"] is encoder
    assert not any(p.requires_grad for p in encoder.parameters())
    assert task.views == encoder.views | task.text.views
    kept = Frozen(autoencoder())
    assert Generation(kept).exports() == {"encoder": kept}


def test_what_cannot_be_asked():
    with pytest.raises(NotApplicable, match="the decoder reads latents of 5, the encoder makes them of 4"):
        Generation(autoencoder(), decoder=SelfiesDecoder(5, hidden=8))
    with pytest.raises(NotApplicable, match="judge: needs a `text` encoder of the same space"):
        Generation(autoencoder(), text(), judge=Fingerprint(dim=8, bits=64))
    with pytest.raises(NotApplicable, match="sampled: needs an Autoencoder that is asked anew, not CachedTokens of Autoencoder"):
        Generation(CachedTokens(autoencoder(), "a"), sampled=True)
    with pytest.raises(NotApplicable, match=r"sampled: .* not Fingerprint of Fingerprint"):
        Generation(Fingerprint(bits=64), sampled=True)
    with pytest.raises(NotApplicable, match="Fingerprint has no way back to molecules: give Generation a `decoder`"):
        Generation(Fingerprint(dim=8, bits=64)).generate(None, 2, 1)


def test_a_decoder_of_its_own_takes_the_latents_of_any_encoder():
    decoder = SelfiesDecoder(8, hidden=8, length=20)
    task = Generation(Fingerprint(dim=8, hidden=8, bits=64), decoder=decoder, dim=8, depth=1, steps=3)
    assert [len(made) for made in task.eval().generate(None, 3, 2)] == [2, 2, 2]


def test_losses_reach_the_denoiser_alone_and_teach_the_scale():
    task = Generation(autoencoder(), Frozen(text()), dim=8, depth=1).train()
    batch = batch_of(contract.records(), task.views)
    task.losses(batch)["denoising"].backward()
    assert {n.split(".")[0] for n, p in task.named_parameters() if p.grad is not None} == {"denoiser"}
    assert task.standard.count.item() == 6
    task.eval().losses(batch)
    assert task.standard.count.item() == 6
    assert Generation(autoencoder(), normalise=False).standard is None


def test_an_unfrozen_text_side_learns():
    task = Generation(autoencoder(), text(), dim=8, depth=1, diffusion=Diffusion(10, drop=0.0))
    torch.nn.init.normal_(task.denoiser.output.weight)
    task.losses(batch_of(contract.records(), task.views))["denoising"].backward()
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in task.text.parameters())


def test_sampled_latents_are_drawn_in_training_only():
    task = Generation(autoencoder(), sampled=True, dim=8, depth=1)
    batch = batch_of(contract.records(), task.views)
    assert not torch.equal(task.train().latent(batch), task.latent(batch))
    assert torch.equal(task.eval().latent(batch), task.latent(batch))


def test_latents_come_back_in_the_encoders_scale():
    task = Generation(autoencoder(), dim=8, depth=1, steps=5).eval()
    task.standard.learn(torch.randn(500, 4) * 3 + 10)
    assert task.draw(None, 50).mean().item() == pytest.approx(10, abs=0.5)  # an untrained denoiser says 0
    assert torch.equal(task.draw(None, 5, seed=3), task.draw(None, 5, seed=3))


def test_clean_text():
    assert clean_text("naïve 分子 \udcff") == "naïve 分子 ?"


# -- the stages ---------------------------------------------------------------------------------------


@pytest.mark.slow
def test_what_the_stages_leave_behind(stages):
    metrics = json.loads((stages / "autoencode" / "metrics.json").read_text())["metrics"]
    told = {split: {n.partition("/")[2] for n in metrics if n.startswith(split)} for split in ("val", "test")}
    assert told["val"] == told["test"]  # molecules too, though validation in training asks for none
    assert {f"test/{name}" for name in ("reconstruction", "kl", "loss", "score", *Comparison._fields)} <= metrics.keys()
    result = json.loads((stages / "diffuse" / "metrics.json").read_text())
    assert result["encoder"] == "Autoencoder(Projection(Fingerprint),SelfiesDecoder)"
    assert {"test/loss", "test/score", "test/Validity", "test/uniqueness", "test/novelty"} <= result["metrics"].keys()
    rows = pq.read_table(stages / "diffuse" / "predictions.parquet").to_pylist()
    assert len(rows) == (4 + 4) * 2
    assert all(r["prompt"] for r in rows)
    assert result["metrics"]["test/score"] == pytest.approx(sum(r["score"] for r in rows if r["split"] == "test") / 8)
    log = (stages / "diffuse" / "log.csv").read_text()
    assert "val/score" in log
    assert "val/maccs" not in log.partition("val/maccs")[0]


@pytest.mark.slow
def test_stage_two_goes_on_from_the_aligned_encoder(stages):
    aligned, start = weights(stages / "align", "best"), weights(stages / "autoencode", "best")
    key = "encoder.norm.weight"
    assert aligned[key].shape == start[f"objective.encoder.{key}"].shape
    trained = weights(stages / "autoencode", "best")
    kept = weights(stages / "diffuse", "best")
    inner = {k.removeprefix("objective.encoder."): v for k, v in trained.items() if k.startswith("objective.encoder.")}
    assert all(torch.equal(v, kept[f"encoder.encoder.{k}"]) for k, v in inner.items())
    text = {k.removeprefix("text."): v for k, v in kept.items() if k.startswith("text.")}
    assert all(torch.equal(aligned[f"_text.{k.removeprefix('encoder.')}"], v) for k, v in text.items())


@pytest.mark.slow
def test_the_average_follows_and_is_saved(stages):
    held = weights(stages / "diffuse")
    assert held["average.updates"].item() == 4 * 2  # steps
    ours = {k: v for k, v in held.items() if k.startswith("denoiser.")}
    assert all(torch.equal(v, held[k.replace("denoiser.", "average.module.")]) for k, v in ours.items())  # still copying


@pytest.mark.slow
def test_stage_three_from_the_store(stages, card, tmp_path):
    """Neither graph nor text is read; latents and conditions are those of asking the encoders."""
    for fragment, out in (("autoencode/encoder.yaml", "latents.yaml"), ("align/text.yaml", "texts.yaml")):
        words = ["export", str(stages / fragment), "--tokens", "--out", str(tmp_path / out), "--data.card", str(card)]
        assert main(words) == 0
    given = {**built_on(stages), "overrides": ["data.alike=text"]}
    cached = {**given, "encoder": str(tmp_path / "latents.yaml"), "text": str(tmp_path / "texts.yaml")}
    pairs = []
    for name, settings in (("cached", cached), ("asked", given)):
        made = build(config(card, "Generation", **settings), tmp_path / name)
        made.data.prepare_data()
        made.data.setup()
        made.task.eval()
        seen = [(b.ids, made.task.latent(b), made.task.condition(b)) for b in made.data.train_dataloader()]
        pairs.append((made.task.views, seen))
    assert {type(v).__name__ for v in pairs[0][0]} == {"TokensView"}
    for (ids, *found), (same, *expected) in zip(pairs[0][1], pairs[1][1], strict=True):
        assert ids == same
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    result = fit(tmp_path / "run", card, "Generation", **cached, epochs=2)
    assert 0 <= result["metrics"]["test/Validity"] <= 1
    assert main(["generate", "It is an alcohol.", "--run", str(tmp_path / "run"), "-n", "2"]) == 0  # the encoder itself is asked


@pytest.mark.slow
def test_unconditional(stages, card, tmp_path):
    result = fit(tmp_path / "run", card, "Generation", **{**built_on(stages), "text": None, "judge": None}, epochs=1)
    assert 0 <= result["metrics"]["test/Validity"] <= 1
    assert main(["generate", "it is not read", "--run", str(tmp_path / "run"), "-n", "2"]) == 0


def test_projection_is_what_the_towers_end_in():
    towers = Projection(Fingerprint(bits=64), 16), Projection(text(), 8)
    with pytest.raises(NotApplicable, match="without a width the towers must end in one space; they end in 16 and 8"):
        Retrieval(*towers, width=None)


@pytest.mark.slow
def test_which_description_is_the_input(stages):
    """Taken away is the caption; what was described, and is compared with, stays."""
    folder = stages / "diffuse"
    assert main(["test", "--run", str(folder), "--reliance"]) == 0
    found = json.loads((folder / "reliance.json").read_text())
    assert {name: set(hows) for name, hows in found.items()} == {"text": {"shuffle", "blank", "twin"}}
    whole = json.loads((folder / "metrics.json").read_text())["metrics"]["test/loss"]
    assert found["text"]["blank"]["test/loss"] != whole  # a little: nothing has been learned in four epochs
    asked, without = (pq.read_table(folder / f).to_pylist() for f in ("predictions.parquet", "reliance.parquet"))
    described = {r["id"]: r["smiles"] for r in asked if r["split"] == "test"}
    assert {r["id"]: r["smiles"] for r in without if r["how"] == "blank"} == described

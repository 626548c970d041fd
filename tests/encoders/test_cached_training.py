"""Cached tokens through configs and the command: training is that over the frozen encoder."""

import copy

import pytest
import torch
import yaml
from safetensors.torch import load_file

from molfusion.build import build
from molfusion.cli import main
from molfusion.config import compose
from molfusion.encoders import CachedTokens
from molfusion.encoders.cached import encoder_digest
from molfusion.tasks.base import Task
from tests.tasks.helpers import QFORMER, UNIMOL, config, fit
from tests.test_export import exported

# Six heavy atoms each: no batch is padded.
SIX = [
    "CCCCCC", "CCCCCO", "CCCCCN", "c1ccccc1", "c1ccncc1", "C1CCCCC1", "C1CCNCC1", "C1CCOCC1",
    "CC(C)CCO", "CCOCCC", "CC(C)(C)CO", "CCCC(C)O", "CCC(=O)CC", "CCCCC=O", "CCCC(=O)O", "N#CCCCC",
    "OCCCCO", "NCCCCN", "CSCCCC", "FC(F)(F)CC", "ClCCCCC", "BrCCCCC", "CC=CCCC", "C#CCCCC",
]  # fmt: skip


@pytest.fixture(scope="module")
def six(tmp_path_factory):
    folder = tmp_path_factory.mktemp("six")
    rows = [f"s{i},{s},It has {len(s)} letters. It is number {i}.,{i / 10}" for i, s in enumerate(SIX)]
    splits = ["train"] * 16 + ["val"] * 4 + ["test"] * 4
    lines = ["cid,smiles,caption,number,split", *(f"{row},{split}" for row, split in zip(rows, splits, strict=True))]
    (folder / "six.csv").write_text("\n".join(lines) + "\n")
    (folder / "six.yaml").write_text(
        "name: six\ntitle: Six\nlicence: CC0-1.0\nfiles: {all: {path: six.csv}}\n"
        "columns: {id: cid, smiles: smiles, text: caption}\ntargets: [{column: number}]\nsplit: {by: column, column: split}\n"
    )
    return folder / "six.yaml"


def tokens_of(card, folder, *words):
    """encoder.yaml with weights, and tokens.yaml of one card, as a user makes them."""
    torch.manual_seed(3)
    exported(card, folder, "Property", encoder=UNIMOL)
    assert main(["export", str(folder / "encoder.yaml"), "--tokens", "--out", str(folder / "tokens.yaml"),
                 "--data.card", str(card), *words]) == 0  # fmt: skip
    return folder / "encoder.yaml", folder / "tokens.yaml"


def over(task, encoder):
    if task == "Property":
        return encoder
    fused = copy.deepcopy(QFORMER)
    fused["init_args"]["encoder"] = encoder
    return fused


@pytest.fixture
def losses(monkeypatch):
    """Of every training step, to the last bit."""
    seen, step = [], Task.training_step

    def training_step(self, batch, index):
        loss = step(self, batch, index)
        seen.append(loss.item())
        return loss

    monkeypatch.setattr(Task, "training_step", training_step)
    return seen


def both(card, folder, task, encoder, tokens, losses, **settings):
    """Losses and final weights over the frozen encoder, and over its tokens."""
    frozen = {"class_path": "molfusion.encoders.Frozen", "init_args": {"encoder": str(encoder)}}
    out = []
    for name, given in (("frozen", frozen), ("cached", str(tokens))):
        losses.clear()
        fit(folder / name, card, task, encoder=over(task, given), epochs=5, **settings)
        state = torch.load(folder / name / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        out.append((list(losses), state))
    return out


@pytest.mark.slow
@pytest.mark.parametrize("task", ["Property", "Retrieval"])
def test_training_is_the_same_to_the_last_bit(task, six, tmp_path, losses):
    encoder, tokens = tokens_of(six, tmp_path, "--data.batch_size", "8")  # as in training: sums are split alike
    overrides = ["data.sentences=1"] if task == "Retrieval" else []
    (frozen, first), (cached, second) = both(six, tmp_path, task, encoder, tokens, losses, overrides=overrides)
    assert len(frozen) == 10
    assert len(set(frozen)) > 1
    assert cached == frozen
    assert first.keys() == second.keys()
    assert all(torch.equal(first[k], second[k]) for k in first)
    rows = [(tmp_path / name / "predictions.parquet").read_bytes() for name in ("frozen", "cached")]
    assert rows[0] == rows[1]


@pytest.mark.slow
@pytest.mark.parametrize("task", ["Property", "Retrieval"])
def test_training_with_padding_is_the_same_but_for_rounding(task, card, tmp_path, losses):
    """In a padded batch the encoder's own sums round otherwise than alone."""
    encoder, tokens = tokens_of(card, tmp_path)
    (frozen, _), (cached, _) = both(card, tmp_path, task, encoder, tokens, losses)
    assert len(frozen) == 10
    assert cached[0] == pytest.approx(frozen[0], rel=1e-6)
    assert cached == pytest.approx(frozen, rel=1e-4)


@pytest.mark.slow
def test_a_run_from_the_cache_is_a_run(card, tmp_path, capsys):
    """Run → tokens by its own command → QFormer on them → its export, with the frozen encoder in place of the cache."""
    fit(tmp_path / "a", card, "Property", encoder=UNIMOL, epochs=1)
    assert main(["export", str(tmp_path / "a"), "--tokens"]) == 0
    out = capsys.readouterr().out
    assert str(tmp_path / "a" / "tokens.yaml") in out
    assert "24 molecules of small" in out
    tokens = tmp_path / "a" / "tokens.yaml"
    assert yaml.safe_load(tokens.read_text())["init_args"]["encoder"] == "encoder.yaml"
    result = fit(tmp_path / "b", card, "Retrieval", encoder=over("Retrieval", str(tokens)), epochs=1)
    assert result["encoder"] == "QFormer(UniMol)"
    trained = load_file(tmp_path / "b" / "encoder.safetensors")
    inner = load_file(tmp_path / "a" / "encoder.safetensors")
    assert all(torch.equal(trained[f"encoder.encoder.{k}"], v) for k, v in inner.items())
    tree = yaml.safe_load((tmp_path / "b" / "encoder.yaml").read_text())
    for name, digest in (("cached", True), ("frozen", False)):
        fragment = copy.deepcopy(tree)
        place = fragment["init_args"]["encoder"]["init_args"]["encoder"]
        assert place["class_path"] == "molfusion.encoders.CachedTokens"
        if not digest:
            place["class_path"] = "molfusion.encoders.Frozen"
            place["init_args"] = {"encoder": place["init_args"]["encoder"]}
        (tmp_path / "b" / f"{name}.yaml").write_text(yaml.safe_dump(fragment))
        task = build(config(card, "Property", encoder=str(tmp_path / "b" / f"{name}.yaml")), tmp_path / "c").task
        assert all(torch.equal(v, trained[k]) for k, v in task.encoder.state_dict().items())
    fit(tmp_path / "d", card, "Property", encoder=str(tmp_path / "b" / "encoder.yaml"), epochs=1)


@pytest.mark.slow
def test_the_fragment_composes_prints_and_moves(card, tmp_path, capsys):
    _, tokens = tokens_of(card, tmp_path / "a")
    capsys.readouterr()
    told = yaml.safe_load(tokens.read_text())
    assert told["class_path"] == "molfusion.encoders.CachedTokens"
    assert main(["fit", "-c", "experiments/tasks/property.yaml", "--model.encoder", str(tokens), "--data.card", str(card),
                 "--print-config"]) == 0  # fmt: skip
    printed = capsys.readouterr().out
    (tmp_path / "whole.yaml").write_text(printed)
    again = compose([tmp_path / "whole.yaml"]).tree["model"]["init_args"]["encoder"]
    assert again["init_args"]["digest"] == told["init_args"]["digest"]
    made = build(compose([tmp_path / "whole.yaml"]), tmp_path / "x").task
    assert isinstance(made.encoder, CachedTokens)
    assert encoder_digest(made.encoder.encoder) == made.encoder.digest
    (tmp_path / "a").rename(tmp_path / "elsewhere")
    moved = build(config(card, "Property", encoder=str(tmp_path / "elsewhere" / "tokens.yaml")), tmp_path / "y").task
    assert moved.encoder.views == made.encoder.views


@pytest.mark.slow
def test_weights_written_anew_are_noticed(card, tmp_path, capsys):
    _, tokens = tokens_of(card, tmp_path / "a")
    torch.manual_seed(4)
    exported(card, tmp_path / "a", "Property", encoder={**UNIMOL, "init_args": {**UNIMOL["init_args"], "dropout": 0.3}})
    tree = config(card, "Property", encoder=str(tokens)).tree
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(tree))
    capsys.readouterr()
    assert main(["fit", "-c", str(tmp_path / "run.yaml"), "--run", str(tmp_path / "b")]) == 2
    error = capsys.readouterr().err
    assert error.count("UniMol-") == 2
    assert "run `molfusion export RUN --tokens` again" in error


@pytest.mark.slow
def test_half_precision_says_what_it_changes(card, tmp_path, capsys):
    _, tokens = tokens_of(card, tmp_path, "--dtype", "bfloat16")
    assert "bfloat16 moves a value by at most 0.00" in capsys.readouterr().out
    assert yaml.safe_load(tokens.read_text())["init_args"]["dtype"] == "bfloat16"


def test_mistakes_are_one_line_and_code_2(tmp_path, capsys):
    def told(*words):
        assert main(["export", *map(str, words)]) == 2
        error = capsys.readouterr().err.strip()
        assert len(error.splitlines()) == 1
        return error

    assert "add --tokens" in told(tmp_path, "--dtype", "float16")
    assert "add --tokens" in told(tmp_path, "--data.card", "demo")
    assert "model.lr does not matter to tokens; what does: data., trainer.accelerator" in told(
        tmp_path, "--tokens", "--model.lr", "3"
    )
    assert "say with --out FILE.yaml" in told("experiments/encoders/tiny/unimol.yaml", "--tokens")
    assert "is not the folder of a run" in told(tmp_path, "--tokens")

"""Exports: what is in the files, where they can be put, and what is refused. (That a run writes them: test_runs.py.)"""

import copy
import os
import pickle

import pytest
import torch
import yaml
from safetensors import safe_open
from safetensors.torch import load_file

from molfusion.build import build
from molfusion.cli import main
from molfusion.config import compose
from molfusion.encoders.base import WeightsError
from molfusion.export import export_encoders, load_task
from molfusion.weights.read import CheckpointError
from tests import contract
from tests.tasks.helpers import FINGERPRINT, QFORMER, TEXT, UNIMOL, config, fit

PRETRAINING = {"class_path": "molfusion.encoders.UniMolPretraining", "init_args": {"encoder": UNIMOL}}


def exported(card, folder, task="Retrieval", **arguments):
    """An untrained task's encoders, written; the task and what was written."""
    given = config(card, task, **arguments)
    made = build(given, folder).task
    folder.mkdir(exist_ok=True)
    return made, export_encoders(folder, made, given)


def encoder_from(card, fragment, folder):
    return build(config(card, "Property", encoder=str(fragment)), folder).task.encoder


def test_each_encoder_of_a_task_is_written(card, tmp_path):
    _, written = exported(card, tmp_path / "a", encoder=FINGERPRINT, text=TEXT)
    assert [p.name for p in written] == ["encoder.yaml", "text.yaml"]
    assert {p.name for p in (tmp_path / "a").iterdir()} == {
        "encoder.yaml", "encoder.safetensors", "text.yaml", "text.safetensors",
    }  # fmt: skip


def test_a_fragment_says_class_settings_and_weights(card, tmp_path):
    _, (fragment, _) = exported(card, tmp_path / "a", encoder=FINGERPRINT, text=TEXT)
    assert yaml.safe_load(fragment.read_text()) == {
        "class_path": "molfusion.encoders.restore",
        "init_args": {"encoder": FINGERPRINT, "weights": "./encoder.safetensors"},
    }


def test_weights_are_the_encoders_own(card, tmp_path):
    task, _ = exported(card, tmp_path / "a", encoder=QFORMER)
    state, found = task.encoder.state_dict(), load_file(tmp_path / "a" / "encoder.safetensors")
    assert state.keys() == found.keys()
    assert all(torch.equal(state[k], found[k]) for k in state)
    with safe_open(tmp_path / "a" / "encoder.safetensors", "pt") as file:
        assert file.metadata() == {"made_by": "molfusion", "class": "QFormer"}


def test_an_objectives_encoder_is_exported_without_its_heads(card, tmp_path):
    _, (fragment,) = exported(card, tmp_path / "a", "Pretraining", objective=PRETRAINING)
    assert yaml.safe_load(fragment.read_text())["init_args"]["encoder"] == UNIMOL
    assert not [k for k in load_file(tmp_path / "a" / "encoder.safetensors") if "head" in k]


def test_tokens_are_the_same_where_it_is_put(card, tmp_path):
    task, (fragment,) = exported(card, tmp_path / "a", encoder=QFORMER)
    again = encoder_from(card, fragment, tmp_path / "b").eval()
    batch = contract.collate(task.encoder, contract.records())
    assert torch.equal(task.encoder.eval()(batch).x, again(batch).x)


def test_the_folder_can_move(card, tmp_path):
    task, (fragment,) = exported(card, tmp_path / "a", encoder=QFORMER)
    (tmp_path / "a").rename(tmp_path / "elsewhere")
    again = encoder_from(card, tmp_path / "elsewhere" / fragment.name, tmp_path / "b")
    assert torch.equal(again.query, task.encoder.query)


def test_an_encoder_inside_another_stays_a_description(card, tmp_path):
    """A fusion on a restored encoder: one file of weights holds all, and the first export is not needed any more."""
    _, (inner, _) = exported(card, tmp_path / "a", encoder=FINGERPRINT, text=TEXT)
    fused = copy.deepcopy(QFORMER)
    fused["init_args"]["encoder"] = str(inner)
    task, (fragment,) = exported(card, tmp_path / "b", encoder=fused)
    for path in (tmp_path / "a").iterdir():
        path.unlink()
    again = encoder_from(card, fragment, tmp_path / "c")
    state = task.encoder.state_dict()
    assert all(torch.equal(value, state[key]) for key, value in again.state_dict().items())
    assert "a/encoder" not in fragment.read_text()


def test_weights_of_another_encoder_are_refused(card, tmp_path):
    _, (fragment, _) = exported(card, tmp_path / "a", encoder=FINGERPRINT, text=TEXT)
    tree = yaml.safe_load(fragment.read_text())
    tree["init_args"]["encoder"]["init_args"]["dim"] = 16
    fragment.write_text(yaml.safe_dump(tree))
    with pytest.raises(WeightsError, match=r"does not fit this encoder: it layers\.3\.bias is \[32\], expected \[16\]"):
        encoder_from(card, fragment, tmp_path / "b")


def test_an_export_without_its_weights_says_so(card, tmp_path):
    _, (fragment, _) = exported(card, tmp_path / "a", encoder=FINGERPRINT, text=TEXT)
    (tmp_path / "a" / "encoder.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"^no weights at .*encoder\.safetensors"):
        encoder_from(card, fragment, tmp_path / "b")


class Harm:
    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("use", ["export", "start"])
def test_a_checkpoint_with_code_in_it_is_refused(use, card, tmp_path):
    bad = tmp_path / "bad.ckpt"
    bad.write_bytes(pickle.dumps({"state_dict": Harm(tmp_path / "harmed")}, protocol=2))
    start = {"start": str(bad)} if use == "start" else {}
    task = build(config(card, "Retrieval", encoder=FINGERPRINT, text=TEXT, **start), tmp_path / "a").task
    with pytest.raises(CheckpointError, match=r"bad\.ckpt holds \w+\.mkdir, which is code"):
        load_task(task, bad) if use == "export" else task.configure_model()
    assert not (tmp_path / "harmed").exists()


# -- the command -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(card, tmp_path_factory, cache):
    folder = tmp_path_factory.mktemp("runs") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOLFUSION_CACHE", str(cache))
        fit(folder, card, "Property", encoder=FINGERPRINT)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", ["best", "last"])
def test_the_command_writes_the_checkpoint_asked_for(name, run, capsys):
    for file in ("encoder.yaml", "encoder.safetensors"):
        (run / file).unlink(missing_ok=True)
    assert main(["export", str(run), "--checkpoint", name]) == 0
    assert capsys.readouterr().out.split() == [str(run / "encoder.yaml")]
    found = load_file(run / "encoder.safetensors")
    trained = torch.load(run / "checkpoints" / f"{name}.ckpt", weights_only=True)["state_dict"]
    assert found
    assert all(torch.equal(value, trained[f"encoder.{key}"]) for key, value in found.items())


@pytest.mark.slow
def test_the_command_without_the_training_data(run, card, tmp_path):
    """The folder is enough: what the head was fitted to is in the checkpoint."""
    text = (run / "config.yaml").read_text()
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    (tmp_path / "run" / "checkpoints" / "best.ckpt").write_bytes((run / "checkpoints" / "best.ckpt").read_bytes())
    moved = tmp_path / "card.yaml"
    moved.write_text(card.read_text())  # the card, but no data.csv beside it
    tree = yaml.safe_load(text)
    tree["data"]["card"] = str(moved)
    (tmp_path / "run" / "config.yaml").write_text(yaml.safe_dump(tree))
    assert main(["export", str(tmp_path / "run")]) == 0
    assert load_file(tmp_path / "run" / "encoder.safetensors").keys()


@pytest.mark.slow
def test_mistakes_are_one_line_and_code_2(run, tmp_path, capsys):
    def told(*words):
        assert main(["export", *map(str, words)]) == 2
        error = capsys.readouterr().err.strip()
        assert len(error.splitlines()) == 1
        return error

    assert "is not the folder of a run: it has no config.yaml" in told(tmp_path)
    assert "no checkpoint nowhere.ckpt" in told(run, "--checkpoint", "nowhere.ckpt")
    bad = tmp_path / "bad.ckpt"
    bad.write_bytes(pickle.dumps(Harm(tmp_path / "harmed"), protocol=2))
    assert "which is code and not weights" in told(run, "--checkpoint", bad)
    torch.save({"epoch": 1}, bad)
    assert "expected tensors by name" in told(run, "--checkpoint", bad)
    assert compose([run / "config.yaml"]).tree["model"]["class_path"] == "molfusion.tasks.Property"

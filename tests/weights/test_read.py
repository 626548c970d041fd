"""Checkpoints are data: what is not weights is refused, and never run."""

import os
import pickle

import pytest
import torch
from safetensors.torch import save_file

from molfusion.weights.read import CheckpointError, read_state

STATE = {"a.weight": torch.arange(6.0).view(2, 3), "a.bias": torch.zeros(2)}


class Harm:
    """What a harmful file looks like: unpickling it makes a folder."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def same(found):
    assert found.keys() == STATE.keys()
    assert all(torch.equal(found[k], STATE[k]) for k in STATE)


@pytest.mark.parametrize("content", [STATE, {"state_dict": STATE, "epoch": 3}, {"model": STATE, "args": None}])
def test_weights_wherever_they_are_kept(content, tmp_path):
    torch.save(content, tmp_path / "w.pt")
    same(read_state(tmp_path / "w.pt"))


def test_safetensors(tmp_path):
    save_file(STATE, tmp_path / "w.safetensors")
    same(read_state(tmp_path / "w.safetensors"))


@pytest.mark.parametrize("form", ["zip", "legacy", "pickle"])
def test_code_is_refused_and_not_run(form, tmp_path):
    marker, path = tmp_path / "harmed", tmp_path / "bad.pt"
    if form == "pickle":
        path.write_bytes(pickle.dumps({"state_dict": Harm(marker)}, protocol=2))
    else:
        torch.save({"state_dict": STATE, "extra": Harm(marker)}, path, _use_new_zipfile_serialization=form == "zip")
    with pytest.raises(CheckpointError, match=r"bad\.pt holds (posix|nt|os)\.mkdir, which is code") as caught:
        read_state(path)
    assert not marker.exists()
    assert "weights_only=False" not in str(caught.value), "no invitation to run it"
    assert len(str(caught.value).splitlines()) == 1
    # the harm is real: unguarded, the same bytes do run
    if form == "pickle":
        pickle.loads(path.read_bytes())
        assert marker.is_dir()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", r"cannot be read, cut short perhaps"),
        (b"version https://git-lfs.github.com/spec/v1\n", r"no checkpoint of torch\.save"),
        (b"PK\x03\x04 half a zip", r"cannot be read|no checkpoint"),
    ],
)
def test_what_is_no_checkpoint(content, expected, tmp_path):
    (tmp_path / "w.pt").write_bytes(content)
    with pytest.raises(CheckpointError, match=expected):
        read_state(tmp_path / "w.pt")


def test_a_cut_off_file(tmp_path):
    for name, save in (("w.pt", torch.save), ("w.safetensors", save_file)):
        path = tmp_path / name
        save(STATE, path)
        path.write_bytes(path.read_bytes()[:-40])
        with pytest.raises(CheckpointError, match=f"{name} cannot be read"):
            read_state(path)


def test_no_file(tmp_path):
    with pytest.raises(CheckpointError, match=r"no checkpoint .*w\.pt"):
        read_state(tmp_path / "w.pt")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ([torch.zeros(1)], "holds list and no weights"),
        ({}, "holds dict and no weights"),
        ({"epoch": 3}, r"'epoch' is int; expected tensors by name"),
    ],
)
def test_what_holds_no_weights(content, expected, tmp_path):
    torch.save(content, tmp_path / "w.pt")
    with pytest.raises(CheckpointError, match=expected):
        read_state(tmp_path / "w.pt")

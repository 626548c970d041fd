"""Every encoder fragment under experiments/encoders, found by glob."""

from pathlib import Path

import pytest
import torch

from molfusion.config import compose
from molfusion.encoders.base import Aligned, Encoder, load_pretrained
from molfusion.paths import shipped
from tests import contract

ROOT = shipped("experiments") / "encoders"
TINY = sorted((ROOT / "tiny").rglob("*.yaml"))
PAPER = sorted(p for p in ROOT.rglob("*.yaml") if "tiny" not in p.parts)

# Parameters of the paper-size encoders, as published or as counted from the official modules.
PUBLISHED = {
    "unimol": 47_330_626, "deepencoder": 398_746_880, "e3fp_tokens": 14_683_648, "cross_attention": 398_746_880 + 176_221_696,
}  # fmt: skip


def make(path: Path) -> Encoder:
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--encoder", type=Encoder)
    torch.manual_seed(0)
    encoder = parser.instantiate_classes(parser.parse_object({"encoder": compose([path]).tree})).encoder
    load_pretrained(encoder)
    return encoder


@pytest.fixture(params=TINY, ids=lambda p: p.stem)
def fragment(request) -> Path:
    return request.param


def test_there_are_fragments():
    assert len(TINY) >= 6


def test_shape(fragment):
    contract.check_shape(make(fragment))


def test_independent_of_neighbours_and_padding(fragment):
    contract.check_alone(make(fragment))


def test_train_is_eval(fragment):
    contract.check_train_is_eval(make(fragment))


def test_rotation_and_translation(fragment):
    encoder = make(fragment)
    if not contract.reads_geometry(encoder):
        pytest.skip("reads no geometry")
    contract.check_moves(encoder)


def test_views_of_other_molecules(fragment):
    contract.check_lent(make(fragment))


def test_which_atoms_tokens_stand_for(fragment):
    contract.check_atoms(make(fragment))


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16], ids=["float32", "bf16"])
def test_gradients(fragment, precision):
    contract.check_gradients(make(fragment), precision)


def test_round_trip(fragment):
    contract.check_round_trip(make(fragment), make(fragment))


def test_aligned(fragment):
    encoder = make(fragment)
    if not isinstance(encoder, Aligned):
        pytest.skip("does not align itself")
    contract.check_aligned(encoder)


@pytest.mark.parametrize("path", PAPER, ids=lambda p: p.stem)
def test_paper_size_builds(path):
    try:
        with torch.device("meta"):
            encoder = make_unloaded(path)
    except (FileNotFoundError, OSError) as error:
        pytest.skip(f"needs what this machine lacks: {str(error).splitlines()[0][:100]}")
    count = sum(p.numel() for p in encoder.parameters())
    assert count == PUBLISHED.get(path.stem, count)
    assert count > 1_000_000


def make_unloaded(path: Path) -> Encoder:
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--encoder", type=Encoder)
    return parser.instantiate_classes(parser.parse_object({"encoder": compose([path]).tree})).encoder

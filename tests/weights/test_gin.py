"""GIN: names as in the checkpoints of pretrain-gnns (`model_gin/*.pth`) and 3M-Diffusion."""

import pytest
import torch

from molfusion.encoders import GIN
from molfusion.weights import gin
from molfusion.weights.keys import convert
from tests.weights.helpers import check_complete, check_round_trip

MODEL = GIN(dim=8, layers=2)


def names(layers=2):
    out = {"element.weight": "x_embedding1.weight", "chirality.weight": "x_embedding2.weight"}
    for i in range(layers):
        for part in ("0.weight", "0.bias", "2.weight", "2.bias"):
            out[f"layers.{i}.mlp.{part}"] = f"gnns.{i}.mlp.{part}"
        out[f"layers.{i}.bond_type.weight"] = f"gnns.{i}.edge_embedding1.weight"
        out[f"layers.{i}.bond_stereo.weight"] = f"gnns.{i}.edge_embedding2.weight"
        for part in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
            out[f"norms.{i}.{part}"] = f"batch_norms.{i}.{part}"
    return out


def test_round_trip():
    check_round_trip(MODEL, names(), gin.RULES)


def test_complete():
    check_complete(MODEL, names(), gin.RULES)


def test_another_networks_checkpoint_is_refused():
    """GCN and GAT checkpoints of the same source have other layers."""
    with pytest.raises(ValueError, match=r"unknown keys, such as gnns\.0\.linear\.weight"):
        convert({"gnns.0.linear.weight": torch.zeros(1)}, gin.RULES, "gcn.pth")

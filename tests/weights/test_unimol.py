"""Uni-Mol: names as in `mol_pre_no_h_220816.pt`."""

import pytest
import torch

from molfusion.encoders import UniMol
from molfusion.weights import unimol
from molfusion.weights.keys import convert
from tests.weights.helpers import check_complete, check_round_trip, published

LAYERS = 2
SIZES = {"dim": 8, "layers": LAYERS, "ffn": 12, "heads": 2, "kernels": 3}


def names(prefix=""):
    out = {"embed.weight": "embed_tokens.weight"}
    out |= {f"gaussian.{table}": f"gbf.{table}.weight" for table in ("means", "stds")}
    out |= {f"gaussian.{table}.weight": f"gbf.{table}.weight" for table in ("mul", "bias")}
    modules = {
        "embed_norm": "encoder.emb_layer_norm", "norm": "encoder.final_layer_norm",
        "pair_hidden": "gbf_proj.linear1", "pair_out": "gbf_proj.linear2",
    }  # fmt: skip
    for i in range(LAYERS):
        theirs = f"encoder.layers.{i}"
        modules |= {
            f"layers.{i}.qkv": f"{theirs}.self_attn.in_proj", f"layers.{i}.out": f"{theirs}.self_attn.out_proj",
            f"layers.{i}.attention_norm": f"{theirs}.self_attn_layer_norm", f"layers.{i}.up": f"{theirs}.fc1",
            f"layers.{i}.down": f"{theirs}.fc2", f"layers.{i}.ffn_norm": f"{theirs}.final_layer_norm",
        }  # fmt: skip
    for ours, theirs in modules.items():
        out |= {f"{ours}.{part}": f"{theirs}.{part}" for part in ("weight", "bias")}
    return {ours: prefix + theirs for ours, theirs in out.items()}


HEADS = [
    "encoder.final_head_layer_norm.weight", "encoder.final_head_layer_norm.bias", "lm_head.dense.weight",
    "lm_head.bias", "pair2coord_proj.linear1.weight", "dist_head.layer_norm.bias",
]  # fmt: skip


def test_round_trip():
    check_round_trip(UniMol(**SIZES), names(), unimol.RULES, extra=HEADS)


def test_complete():
    check_complete(UniMol(**SIZES), names(), unimol.RULES)


def test_tables_of_one_row_lose_their_axis():
    """Published, means and stds are embeddings [1, K]."""
    state = published(UniMol(**SIZES), names())
    state["gbf.means.weight"], state["gbf.stds.weight"] = torch.arange(3.0)[None], torch.ones(1, 3)
    made = convert(state, unimol.RULES, "synthetic").state
    assert made["gaussian.means"].tolist() == [0.0, 1.0, 2.0]
    assert made["gaussian.mul.weight"].shape == (31 * 31, 1)
    UniMol(**SIZES).load_state_dict(made)


def test_a_checkpoint_of_another_size_does_not_load():
    made = convert(published(UniMol(**SIZES), names()), unimol.RULES, "synthetic").state
    with pytest.raises(RuntimeError, match=r"size mismatch for embed\.weight"):
        UniMol(**{**SIZES, "dim": 16}).load_state_dict(made)
    with pytest.raises(RuntimeError, match=r'Unexpected key\(s\) in state_dict: "layers\.1\.'):
        UniMol(**{**SIZES, "layers": 1}).load_state_dict(made)

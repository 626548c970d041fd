"""MoleBLEND: the fairseq checkpoints (`model`), Transformer-M's (the same backbone), and fine-tuned ones."""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import Tensor

from molfusion.weights.keys import Converted, Rule, convert, under

HOPS = 5  # of the path table's 128: paths are read no further

_LAYER = r"layers\.(\d+)\."
_QKV = {"q": 1, "k": 2, "v": 3}
_FLAT = ("graph_token", "graph_bias", "space.means", "space.stds")  # published as tables of one row

# `name@2`: the second of several published tensors that are one of ours, joined along the first axis.
BACKBONE = [
    Rule(r"atom_feature\.atom_encoder\.weight", "atom.weight"),
    Rule(r"atom_feature\.(in|out)_degree_encoder\.weight", r"\1_degree.weight"),
    Rule(r"atom_feature\.graph_token\.weight", "graph_token"),
    Rule(r"molecule_attn_bias\.graph_token_virtual_distance\.weight", "graph_bias"),
    Rule(r"molecule_attn_bias\.spatial_pos_encoder\.weight", "spd.weight"),
    Rule(r"molecule_attn_bias\.edge_encoder\.weight", "path.bond.weight"),
    Rule(r"molecule_attn_bias\.edge_dis_encoder\.weight", "path.hop"),
    Rule(r"molecule_3d_bias\.gbf\.(means|stds)\.weight", r"space.\1"),
    Rule(r"molecule_3d_bias\.gbf\.(mul|bias)\.weight", r"space.\1.weight"),
    Rule(r"molecule_3d_bias\.gbf_proj\.layer1\.(\w+)", r"space.hidden.\1"),
    Rule(r"molecule_3d_bias\.gbf_proj\.layer2\.(\w+)", r"space.out.\1"),
    Rule(r"molecule_3d_bias\.edge_proj\.(\w+)", r"space.centrality.\1"),
    Rule(r"emb_layer_norm\.(\w+)", r"norm.\1"),
    *(Rule(rf"{_LAYER}self_attn\.{x}_proj\.(\w+)", rf"layers.\1.qkv.\2@{i}") for x, i in _QKV.items()),
    Rule(rf"{_LAYER}self_attn\.in_proj_(\w+)", r"layers.\1.qkv.\2"),
    Rule(rf"{_LAYER}self_attn\.out_proj\.(\w+)", r"layers.\1.out.\2"),
    Rule(rf"{_LAYER}self_attn_layer_norm\.(\w+)", r"layers.\1.attention_norm.\2"),
    Rule(rf"{_LAYER}self_attn_sandwich_layer_norm\.(\w+)", r"layers.\1.attention_sandwich.\2"),
    Rule(rf"{_LAYER}fc1\.(\w+)", r"layers.\1.up.\2"),
    Rule(rf"{_LAYER}fc2\.(\w+)", r"layers.\1.down.\2"),
    Rule(rf"{_LAYER}final_layer_norm\.(\w+)", r"layers.\1.ffn_norm.\2"),
    Rule(rf"{_LAYER}final_sandwich_layer_norm\.(\w+)", r"layers.\1.ffn_sandwich.\2"),
]

_PAIR = {"spd": ("spd", r"linear"), "edge": ("path", r"linear_map_feature"), "3d": ("direction", r"linear")}
HEADS = [
    *(Rule(rf"atom_proc\.{x}_proj\.(\w+)", rf"denoise.qkv.\1@{i}") for x, i in _QKV.items()),
    Rule(r"atom_proc\.force_proj(\d)\.(\w+)", r"denoise.out.\2@\1"),
    *(
        Rule(rf"blend_{theirs}_pred_head\.transform_n2_head\.{part}_{kind}\.(\w+)", rf"{ours}.{part}{suffix}.\1")
        for theirs, (ours, _) in _PAIR.items()
        for part in ("row", "column")
        for kind, suffix in (("head", ""), ("LayerNorm", "_norm"))
    ),
    *(Rule(rf"blend_{theirs}_pred_head\.{linear}\.(\w+)", rf"{ours}.linear.\1") for theirs, (ours, linear) in _PAIR.items()),
    Rule(r"blend_3d_pred_head\.force_proj(\d)\.(\w+)", r"direction.out.\2@\1"),
]
_PREFIX = r"(?:encoder\.)?(?:molecule_encoder\.)?"
_NO_HEADS = [Rule(rf"{_PREFIX}(atom_proc|blend_\w+_pred_head)\..+", None)]
# Fine-tuned models have `proj_out`; all carry a language-model head that nothing reads.
_LM_HEAD = Rule(r"encoder\.(lm_head_transform_weight|layer_norm|embed_out|lm_output_learned_bias)(\.\w+)?", None)
_OUTPUT = r"encoder\.proj_out\."


def encoder_state(published: dict[str, Tensor], source: str) -> Converted:
    """Of a `MoleBlend`; every head is left out.

    Raises:
        ValueError: a key that is unknown, or one of several that make up a tensor of ours is missing.
    """
    rules = [*under(BACKBONE, _PREFIX, ""), *_NO_HEADS, Rule(_OUTPUT + ".+", None), _LM_HEAD]
    return _shaped(convert(published, rules, source), "", source)


def pretraining_state(published: dict[str, Tensor], source: str) -> Converted:
    """Of a `MoleBlendPretraining` with `compat`."""
    rules = [*under(BACKBONE, _PREFIX, "encoder."), *under(HEADS, _PREFIX, "heads."), _LM_HEAD]
    return _shaped(convert(published, rules, source), "encoder.", source)


def finetuned_state(published: dict[str, Tensor], source: str) -> Converted:
    """Of a `Property` with an `mlp` head of the encoder's width; buffers (mean, std) apart, which it does not hold."""
    rules = [
        *under(BACKBONE, _PREFIX, "encoder."), *_NO_HEADS,
        Rule(_OUTPUT + r"dense\.(\w+)", r"head.0.\1"), Rule(_OUTPUT + r"out_proj\.(\w+)", r"head.3.\1"), _LM_HEAD,
    ]  # fmt: skip
    return _shaped(convert(published, rules, source), "encoder.", source)


def settings(state: dict[str, Tensor]) -> dict[str, Any]:
    """Arguments of the `MoleBlend` that an `encoder_state` fits; dropouts are not in the weights."""
    tables = {"spd": "spd.weight", "path": "path.hop", "3d": "space.means"}
    out: dict[str, Any] = {
        "dim": state["atom.weight"].shape[1],
        "layers": len([k for k in state if re.fullmatch(r"layers\.\d+\.up\.weight", k)]),
        "ffn": state["layers.0.up.weight"].shape[0],
        "heads": len(state["graph_bias"]),
        "relations": [relation for relation, key in tables.items() if key in state],
        "sandwich": "layers.0.ffn_sandwich.weight" in state,
    }
    return out | ({"kernels": len(state["space.means"])} if "space.means" in state else {})


def _shaped(made: Converted, prefix: str, source: str) -> Converted:
    """Tables of one row without that axis, the path table as matrices, parts joined."""
    for name in _FLAT:
        if (key := prefix + name) in made.state:
            made.state[key] = made.state[key].reshape(-1)
    if (key := f"{prefix}path.hop") in made.state:
        heads = made.state[f"{prefix}path.bond.weight"].shape[1]
        made.state[key] = made.state[key].reshape(-1, heads, heads)[:HOPS].clone()
    parts: dict[str, dict[str, Tensor]] = {}
    for key in [k for k in made.state if "@" in k]:
        whole, _, number = key.partition("@")
        parts.setdefault(whole, {})[number] = made.state.pop(key)
    for whole, numbered in parts.items():
        if set(numbered) != {"1", "2", "3"}:
            lacking = ", ".join(sorted({"1", "2", "3"} - set(numbered)))
            raise ValueError(f"{source}: {whole!r} is made of three tensors, of which part {lacking} is missing")
        made.state[whole] = torch.cat([numbered[i] for i in ("1", "2", "3")])
    made.renamed = {theirs: re.sub("@.*", "", ours) for theirs, ours in made.renamed.items()}
    return made

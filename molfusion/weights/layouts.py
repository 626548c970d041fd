"""What `molfusion import` reads, by name: published checkpoints, and the encoder (with its sizes) that each one is.

Sizes are read off the tensors. What no tensor tells (attention heads of a BERT, a tokenizer) is as published, and can be
set beside the file: `molfusion import … --encoder.tokenizer FOLDER`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from molfusion.weights import deepmolm, deepseek_ocr, gin, moleblend, threedmolm, threemdiffusion, unimol
from molfusion.weights.keys import Converted, convert

State = dict[str, Tensor]
Fragment = dict[str, Any]


@dataclass(frozen=True)
class Layout:
    """One kind of checkpoint.

    Args:
        about: which file it is.
        convert: its state dict, and a name for errors, to the state of our encoder.
        fragment: that state to the encoder's config fragment, sizes included; a part is as `part` was imported.
        part: a part that the checkpoint may leave out: the prefix of its keys in our state ("" = none), which
            `--part` brings.
    """

    about: str
    convert: Callable[[State, str], Converted]
    fragment: Callable[[State, Fragment | None], Fragment]
    part: str = ""


def _encoder(name: str, home: str = "encoders", **arguments: Any) -> Fragment:
    made: Fragment = {"class_path": f"molfusion.{home}.{name}"}
    return made | ({"init_args": arguments} if arguments else {})


def count(state: Mapping[str, Tensor], prefix: str) -> int:
    """How many layers there are under `prefix`: `layers.0.…`, `layers.1.…`."""
    return 1 + max((int(k.removeprefix(prefix).split(".")[0]) for k in state if k.startswith(prefix)), default=-1)


# -- one encoder after the other ---------------------------------------------------------------------------------


def _unimol(state: State, _: Fragment | None, prefix: str = "", **settings: Any) -> Fragment:
    at = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    return _encoder(
        "UniMol", dim=at["embed.weight"].shape[1], layers=count(at, "layers."), ffn=at["layers.0.up.weight"].shape[0],
        heads=at["pair_out.weight"].shape[0], kernels=at["gaussian.means"].numel(), **settings,
    )  # fmt: skip


def _gin(state: State, _: Fragment | None, prefix: str = "", **settings: Any) -> Fragment:
    return _encoder("GIN", dim=state[f"{prefix}element.weight"].shape[1], layers=count(state, f"{prefix}layers."), **settings)


def _threedmolm(published: State, source: str) -> Converted:
    """`graph_encoder.…` stands in full dumps only; ours is frozen, one level further in."""
    made = convert(published, threedmolm.STAGE1_RULES, source)
    inner = {key: f"encoder.{key}" for key in made.state if key.startswith("encoder.")}
    made.state = {inner.get(key, key): value for key, value in made.state.items()}
    made.renamed = {theirs: inner.get(ours, ours) for theirs, ours in made.renamed.items()}
    return made


def _qformer(state: State, part: Fragment | None) -> Fragment:
    """Released checkpoints were trained with an inverted mask, which needs a column of padding to read."""
    seen = _unimol(state, None, "encoder.encoder.") if part is None else part
    seen = {**seen, "init_args": {**seen.get("init_args", {}), "spare_padding": 1}}
    dim, layers = state["query"].shape[2], count(state, "bert.layers.")
    crossing = [i for i in range(layers) if f"bert.layers.{i}.cross.query.weight" in state]
    return _encoder(
        "QFormer", "fusion", encoder=_encoder("Frozen", encoder=seen), queries=state["query"].shape[1], dim=dim, layers=layers,
        heads=max(1, dim // 64), ffn=state["bert.layers.0.query_ffn.up.weight"].shape[0],
        cross_every=crossing[1] if len(crossing) > 1 else layers, width=state["molecule_head.weight"].shape[0],
        tokenizer="allenai/scibert_scivocab_uncased", mask="legacy_inverted",
    )  # fmt: skip


def _moleblend(state: State, _: Fragment | None) -> Fragment:
    dim, heads = state["atom.weight"].shape[1], state["spd.weight"].shape[1]
    return _encoder(
        "MoleBlend", dim=dim, layers=count(state, "layers."), ffn=state["layers.0.up.weight"].shape[0], heads=heads,
        kernels=state["space.means"].numel(), sandwich="layers.0.attention_sandwich.weight" in state,
    )  # fmt: skip


def _graph_tower(state: State, _: Fragment | None) -> Fragment:
    graph = _gin(state, None, "encoder.", compat=True)
    return _encoder("Projection", encoder=graph, width=state["head.weight"].shape[0], norm=True)


def _text_tower(state: State, _: Fragment | None) -> Fragment:
    """SciBERT's size and tokenizer are its own; `--encoder.encoder.name FOLDER` names another place."""
    text = _encoder("TextEncoder", length=128, pretrained=False)
    text["init_args"]["name"] = "allenai/scibert_scivocab_uncased"
    return _encoder("Projection", encoder=text, width=state["head.weight"].shape[0], pool="first")


def _autoencoder(state: State, _: Fragment | None) -> Fragment:
    """Its vocabulary is a file of its own: `--encoder.decoder.vocabulary FILE`."""
    graph = _gin(state, None, "encoder.encoder.", compat=True)
    tower = _encoder("Projection", encoder=graph, width=state["encoder.head.weight"].shape[0], norm=True)
    hidden, latent = state["decoder.network.start.weight"].shape
    embed = state["decoder.network.pairs.weight"].shape[1]
    decoder = _encoder("HierDecoder", "decoders", dim=latent, hidden=hidden, embed=embed, compat=True)
    return _encoder("Autoencoder", encoder=tower, decoder=decoder, hidden=state["hidden.weight"].shape[0], compat=True)


def _cross_attention(state: State, part: Fragment | None) -> Fragment:
    dim = state["projection.weight"].shape[0]
    return _encoder(
        "CrossAttention", "fusion", query=_encoder("Frozen", encoder=part or _encoder("DeepEncoder")),
        context=_encoder("E3FPTokens", dim=state["context.table.weight"].shape[1]), dim=dim,
        heads=deepmolm.heads({}, dim), ffn=state["layers.0.up.weight"].shape[0], layout=True,
    )  # fmt: skip


LAYOUTS: dict[str, Layout] = {
    "unimol": Layout(
        "Uni-Mol without hydrogens, mol_pre_no_h_220816.pt", lambda p, s: convert(p, unimol.RULES, s), _unimol
    ),
    "unimol-h": Layout(
        "Uni-Mol with hydrogens, mol_pre_all_h_220816.pt", lambda p, s: convert(p, unimol.RULES, s),
        lambda state, part: _unimol(state, part, hydrogens=True),
    ),
    "gin": Layout("a GIN of pretrain-gnns, chem/model_gin/*.pth", gin.encoder_state, _gin),
    "3d-molm-stage1": Layout(
        "the Q-Former of 3D-MoLM, stage1.ckpt (--part: its Uni-Mol)", _threedmolm, _qformer, "encoder.encoder."
    ),
    "moleblend": Layout("MoleBLEND or Transformer-M, a fairseq checkpoint", moleblend.encoder_state, _moleblend),
    "3m-diffusion-graph": Layout(
        "the graph tower of 3M-Diffusion's stage 1", threemdiffusion.graph_tower, _graph_tower
    ),
    "3m-diffusion-text": Layout(
        "the text tower of 3M-Diffusion's stage 1 (SciBERT with one word more, for [DEC])",
        lambda p, s: threemdiffusion.text_tower(p, threemdiffusion.SCIBERT_WORDS, s), _text_tower,
    ),
    "3m-diffusion-autoencoder": Layout(
        "the autoencoder of 3M-Diffusion's stage 2, model.49 (--encoder.decoder.vocabulary: its motifs)",
        lambda p, s: threemdiffusion.autoencoder(p, source=s), _autoencoder,
    ),
    "deepseek-ocr": Layout(
        "the image towers of DeepSeek-OCR, model-00001-of-000001.safetensors",
        lambda p, _: deepseek_ocr.deep_encoder(p), lambda state, part: _encoder("DeepEncoder"),
    ),
    "deepmolm": Layout(
        "the fusion of DeepMoLM, mm_projector/*.bin (--part: DeepSeek-OCR's towers)",
        lambda p, _: deepmolm.projector(p), _cross_attention, "query.encoder.",
    ),
}  # fmt: skip

"""What `molfusion import` turns into the folder of a run, by name: published checkpoints that hold more than an encoder.

The run's config is a paper's, with what the command line sets. What the checkpoint leaves out are encoders of their own,
imported before and named there (`--model.encoder FOLDER/encoder.yaml`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from molfusion.weights import threedmolm, threemdiffusion
from molfusion.weights.keys import Converted
from molfusion.weights.layouts import count

State = dict[str, Tensor]


@dataclass(frozen=True)
class TaskLayout:
    """One kind of checkpoint.

    Args:
        about: which file it is.
        base: the config of the run, under `experiments/`.
        needs: where in the model the encoders stand that it leaves out.
        parts: which ones those are, and how they are named on the command line.
        flat: all that the file holds, to tensors by name (and what is left out for not being one).
        convert: those, and a name for errors, to the state of our task.
        settings: that state to keys of the config and their values.
    """

    about: str
    base: str
    needs: tuple[str, ...]
    parts: str
    flat: Callable[[Any], tuple[State, list[str]]]
    convert: Callable[[State, str], Converted]
    settings: Callable[[State], list[tuple[str, Any]]]


def _weights_alone(checkpoint: Any) -> tuple[State, list[str]]:
    """Lightning keeps them under `state_dict`; DeepSpeed's, once joined, are all there is."""
    if isinstance(checkpoint, dict) and isinstance(checkpoint.get("state_dict"), dict):
        checkpoint = checkpoint["state_dict"]
    return _tensors(checkpoint, "")


def _every_section(checkpoint: Any) -> tuple[State, list[str]]:
    return _tensors(checkpoint, "")


def _tensors(value: Any, prefix: str) -> tuple[State, list[str]]:
    """Tensors by their path through dicts, and the paths of whatever else there is."""
    state: State = {}
    others: list[str] = []
    for key, inner in value.items() if isinstance(value, dict) else ():
        name = f"{prefix}{key}"
        if isinstance(inner, Tensor):
            state[name] = inner
        elif isinstance(inner, dict) and all(isinstance(v, Tensor) for v in inner.values()):
            state |= {f"{name}.{k}": v for k, v in inner.items()}
        else:
            others.append(name)
    return state, others


def _adapters(state: State) -> list[tuple[str, Any]]:
    """What the adapters tell of the language model; the rest of it is as published."""
    inside = {key.partition("lm.model.model.")[2]: value for key, value in state.items() if ".lora_" in key}
    rank = next((len(v) for k, v in inside.items() if "lora_A" in k), None)
    if rank is None:
        raise ValueError("it has no adapters of a language model (….lora_A.default.weight)")
    return [("model.lm.config.num_hidden_layers", count(inside, "layers.")), ("model.lm.lora", {"rank": rank})]


_QFORMER = "--model.encoder FILE: its Q-Former as stage 1 left it (molfusion import 3d-molm-stage1)"

TASKS: dict[str, TaskLayout] = {
    "3d-molm-stage2": TaskLayout(
        "3D-MoLM after captioning, stage2.ckpt: queries, projection, adapters of Llama-2", "papers/3d-molm/2_caption.yaml",
        ("encoder",), _QFORMER, _weights_alone, threedmolm.stage2, _adapters,
    ),
    "3d-molm-stage3": TaskLayout(
        "3D-MoLM after instruction tuning, generalist.ckpt: as stage 2", "papers/3d-molm/3_instruct.yaml",
        ("encoder",), _QFORMER, _weights_alone, threedmolm.stage2, _adapters,
    ),
    "3m-diffusion": TaskLayout(
        "the latent diffusion of 3M-Diffusion, model-winoise100_train_decoder.pt", "papers/3m-diffusion/3_diffuse.yaml",
        ("encoder", "text"),
        "--model.encoder FILE and --model.text.encoder FILE: its autoencoder and its text tower (molfusion import "
        "3m-diffusion-autoencoder, 3m-diffusion-text)",
        _every_section, threemdiffusion.generation, lambda _: [("model.compat", True)],
    ),
}  # fmt: skip

"""Checkpoint files to plain state dicts. Nothing in a file is ever run."""

from __future__ import annotations

import re
from argparse import Namespace
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from molfusion.errors import MolfusionError

_INSIDE = ("state_dict", "model")  # where Lightning's and fairseq's checkpoints keep the weights


class CheckpointError(MolfusionError, ValueError):
    """This file is no checkpoint that can be read safely; the message says why and what to do."""


def read_state(path: Path) -> dict[str, Tensor]:
    """The weights in a `.safetensors` file, or in one of `torch.save` (the state dict itself or one that holds it).

    Raises:
        CheckpointError: no such file, not a checkpoint, something in it that is not weights.
    """
    return state_of(read_checkpoint(path), path)


def state_of(checkpoint: Any, path: Path) -> dict[str, Tensor]:
    """The weights among all that a checkpoint holds; `path` is for the error.

    Raises:
        CheckpointError: there are none, or something beside tensors is among them.
    """
    found = checkpoint
    for key in _INSIDE:
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
    if not isinstance(found, dict) or not found:
        raise CheckpointError(f"{path} holds {type(found).__name__} and no weights; expected tensors by name")
    for name, value in found.items():
        if not isinstance(value, Tensor):
            raise CheckpointError(f"{path}: {name!r} is {type(value).__name__}; expected tensors by name")
    return found


def read_checkpoint(path: Path) -> Any:
    """All that a checkpoint holds: tensors, numbers, strings and containers of them.

    Raises:
        CheckpointError: no such file, not a checkpoint, or code in it.
    """
    if not path.is_file():
        raise CheckpointError(f"no checkpoint {path}")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with torch.serialization.safe_globals([Namespace]):  # fairseq's and Uni-Core's settings beside the weights; plain data
            return torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        code = re.search(r"GLOBAL ([\w.]+)", str(error))
        if code is None:
            raise CheckpointError(f"{path} is no checkpoint of torch.save: {_first_line(error)}") from error
        raise CheckpointError(
            f"{path} holds {code[1]}, which is code and not weights; it was not run. "
            "Ask for the weights as safetensors, or save the state dict alone where the file is trusted"
        ) from error
    except (SafetensorError, RuntimeError, EOFError) as error:
        raise CheckpointError(f"{path} cannot be read, cut short perhaps: {_first_line(error)}") from error


def step_of(path: Path) -> int:
    """After how many steps a checkpoint of a run was written; its weights stay on disk."""
    return int(torch.load(path, map_location="meta", mmap=True, weights_only=True)["global_step"])


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)

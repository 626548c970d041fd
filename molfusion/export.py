"""Trained encoders as config fragments: `encoder.yaml` with its weights beside it, no pickled classes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from safetensors.torch import save_file
from torch import Tensor

from molfusion.config import Composed
from molfusion.describe import exported_encoder, restored
from molfusion.encoders.base import Encoder
from molfusion.nn.ranks import first_rank
from molfusion.paths import atomic
from molfusion.portable import carried, relative
from molfusion.sharding import whole_state
from molfusion.tasks.base import Task
from molfusion.weights.read import read_checkpoint, state_of


def export_encoders(folder: Path, task: Task, config: Composed) -> list[Path]:
    """Write `<slot>.safetensors` and `<slot>.yaml` for every encoder the task owns; all ranks take part, the first writes.

    The YAML is an encoder fragment: `--model.encoder RUN/encoder.yaml` puts it wherever an encoder goes.
    """
    written = []
    for slot, encoder in task.exports().items():
        state = whole_state(encoder)
        if first_rank():
            written.append(write_encoder(folder, slot, state, encoder, exported_encoder(config.tree, slot)))
    return written


def write_encoder(
    folder: Path,
    slot: str,
    state: Mapping[str, Tensor],
    encoder: Encoder,
    fragment: Mapping[str, Any],
    origin: Mapping[str, str] | None = None,
) -> Path:
    """Write `<slot>.safetensors` and the fragment `<slot>.yaml` that restores the encoder from it.

    Args:
        folder: made if need be.
        slot: what the files are called.
        state: of the encoder.
        encoder: whose class is noted.
        fragment: that builds it, without weights.
        origin: more to note beside the weights.
    """
    weights, target = folder / f"{slot}.safetensors", folder / f"{slot}.yaml"
    noted = {"made_by": "molfusion", "class": type(encoder).__name__, **(origin or {})}
    with atomic(weights) as path:
        save_file(dict(state), path, metadata=noted)
    moving = relative(carried(fragment, folder), folder)
    with atomic(target) as path:
        path.write_text(yaml.safe_dump(restored(moving, f"./{weights.name}"), sort_keys=False))
    return target


def load_task(task: Task, checkpoint: Path) -> Task:
    """The task with a checkpoint's weights, strictly; needs no data."""
    saved = read_checkpoint(checkpoint)
    state = state_of(saved, checkpoint)
    task.recall(saved)
    task.configure_model()
    task.load_state_dict(state)
    return task

"""Trained encoders as config fragments: `encoder.yaml` with its weights beside it, no pickled classes."""

from __future__ import annotations

from pathlib import Path

import yaml
from safetensors.torch import save_file

from molfusion.config import Composed
from molfusion.describe import exported_fragment
from molfusion.nn.ranks import first_rank
from molfusion.paths import atomic
from molfusion.sharding import whole_state
from molfusion.tasks.base import Task
from molfusion.weights.read import read_checkpoint, state_of


def export_encoders(folder: Path, task: Task, config: Composed) -> list[Path]:
    """Write `<slot>.safetensors` and `<slot>.yaml` for every encoder the task owns; all ranks take part, the first writes.

    The YAML is an encoder fragment: `--model.encoder RUN/encoder.yaml` puts it wherever an encoder goes.
    """
    written = []
    for slot, encoder in task.exports().items():
        weights = folder / f"{slot}.safetensors"
        state = whole_state(encoder)
        if not first_rank():
            continue
        with atomic(weights) as path:
            save_file(state, path, metadata={"made_by": "molfusion", "class": type(encoder).__name__})
        fragment = exported_fragment(config.tree, slot, f"./{weights.name}")
        target = folder / f"{slot}.yaml"
        with atomic(target) as path:
            path.write_text(yaml.safe_dump(fragment, sort_keys=False))
        written.append(target)
    return written


def load_task(task: Task, checkpoint: Path) -> Task:
    """The task with a checkpoint's weights, strictly; needs no data."""
    saved = read_checkpoint(checkpoint)
    state = state_of(saved, checkpoint)
    task.recall(saved)
    task.configure_model()
    task.load_state_dict(state)
    return task

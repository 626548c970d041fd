"""Trained encoders as config fragments: `encoder.yaml` with its weights beside it, no pickled classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import save_file

from molfusion.config import Composed
from molfusion.paths import atomic
from molfusion.tasks.base import Task


def export_encoders(folder: Path, task: Task, config: Composed) -> list[Path]:
    """Write `<slot>.safetensors` and `<slot>.yaml` for every encoder the task owns.

    The YAML is an encoder fragment: `--model.encoder RUN/encoder.yaml` puts it wherever an encoder goes.
    """
    written = []
    for slot, encoder in task.exports().items():
        weights = folder / f"{slot}.safetensors"
        state = {k: v.detach().to("cpu", copy=True).contiguous() for k, v in encoder.state_dict().items()}
        with atomic(weights) as path:
            save_file(state, path, metadata={"made_by": "molfusion", "class": type(encoder).__name__})
        fragment = {
            "class_path": "molfusion.encoders.restore",
            "init_args": {"encoder": _unfrozen(_slot(config, slot)), "weights": f"./{weights.name}"},
        }
        target = folder / f"{slot}.yaml"
        with atomic(target) as path:
            path.write_text(yaml.safe_dump(fragment, sort_keys=False))
        written.append(target)
    return written


def _slot(config: Composed, slot: str) -> Any:
    """The fragment the encoder was built from; inside an objective it is the objective's own encoder."""
    arguments = config.tree["model"]["init_args"]
    if slot in arguments:
        return arguments[slot]
    return arguments["objective"]["init_args"][slot]


def _unfrozen(fragment: Any) -> Any:
    """Without the restored weights it started from: the new ones replace them."""
    if isinstance(fragment, dict):
        if str(fragment.get("class_path", "")).endswith("encoders.restore"):
            return _unfrozen(fragment["init_args"]["encoder"])
        return {k: _unfrozen(v) for k, v in fragment.items()}
    return fragment


def load_task(task: Task, checkpoint: Path) -> Task:
    """The task with a checkpoint's weights, strictly."""
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]
    task.configure_model()
    task.load_state_dict(state)
    return task

"""A published checkpoint of a whole task as the folder of a run: what `fit` leaves behind, but for the training."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from molfusion.build import build
from molfusion.config import Composed, ConfigError, compose
from molfusion.data.files import sha256
from molfusion.describe import exported_encoder, name_of, without_restored
from molfusion.encoders.base import WeightsError, check_same
from molfusion.export import write_encoder
from molfusion.paths import atomic
from molfusion.runner import dumped
from molfusion.tasks.base import Task
from molfusion.weights.account import account, suited
from molfusion.weights.keys import Converted
from molfusion.weights.read import read_checkpoint
from molfusion.weights.task_layouts import TASKS, TaskLayout

State = dict[str, Tensor]


def import_task(arguments: argparse.Namespace) -> int:
    name, layout = arguments.layout, TASKS[arguments.layout]
    if arguments.part:
        raise ConfigError(f"--part: {name} is imported as a run; its parts are given as in its config: {layout.parts}")
    file, out = Path(arguments.file), Path(arguments.out)
    if (out / "config.yaml").is_file():
        raise ConfigError(f"{out} already holds a run; name another folder with --out")
    published, others = layout.flat(read_checkpoint(file))
    try:
        made = layout.convert(published, str(file))
        settings = layout.settings(made.state)
    except (ValueError, KeyError) as error:
        raise WeightsError(f"not the layout {name!r} ({layout.about}): {error}") from error
    config = compose([f"experiments/{layout.base}"], [*settings, *arguments.overrides])
    places = tuple(f"{place}." for place in _restored(config.tree["model"].get("init_args")))
    if lacking := [part for part in layout.needs if not any(place.startswith(f"{part}.") for place in places)]:
        raise WeightsError(f"{file} leaves out the model's {' and '.join(lacking)}, trained before: give {layout.parts}")
    task = _built(config)
    expected = task.state_dict()
    _leave_out_frozen(made, task, expected)
    held = {k: v for k, v in expected.items() if k not in made.state and k.startswith(places)}
    for line in [*account(published, made, expected, held), *(f"left out  {other} (no weights)" for other in others)]:
        print(line)
    _check(expected, {**held, **made.state}, file, layout)
    state = {key: suited(value, expected[key]) for key, value in {**held, **made.state}.items()}
    origin = {"layout": name, "file": file.name, "sha256": sha256(file)}
    for path in write_run(out, Composed(without_restored(config.tree), config.origin), task, state, origin):
        print(path)
    return 0


def write_run(out: Path, config: Composed, task: Task, state: State, origin: Mapping[str, str]) -> Iterator[Path]:
    """config.yaml, checkpoints/best.ckpt, the encoders as fragments, and a metrics.json without metrics."""
    out.mkdir(parents=True, exist_ok=True)
    names = {id(module): name for name, module in task.named_modules()}
    for slot, encoder in task.exports().items():
        prefix = f"{names[id(encoder)]}."
        inner = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
        yield write_encoder(out, slot, inner, encoder, exported_encoder(config.tree, slot), origin)
    weights = out / "checkpoints" / "best.ckpt"
    weights.parent.mkdir(exist_ok=True)
    with atomic(weights) as path:
        torch.save({"state_dict": state, "pytorch-lightning_version": version("lightning"), "epoch": 0, "global_step": 0}, path)
    yield weights
    result = {"name": name_of(config.tree), "task": type(task).__name__, "metrics": {}, "imported": dict(origin)}
    with atomic(out / "metrics.json") as path:  # so that `fit` takes the run for a finished one
        path.write_text(json.dumps(result, indent=1))
    with atomic(out / "config.yaml") as path:
        path.write_text(dumped(config, out))
    yield out / "config.yaml"


def _built(config: Composed) -> Task:
    """The run's task; a published language model stays without memory."""
    trainer = {"accelerator": "cpu", "devices": 1, "logger": False}
    tree = {"model": config.tree["model"], "trainer": trainer, "data": {"card": "demo"}}
    return build(Composed(tree, config.origin), Path()).task


def _leave_out_frozen(made: Converted, task: Task, expected: State) -> None:
    """Full dumps hold the published language model as well, which a run reads from its own source."""
    frozen = {name for name, _ in task.named_parameters(remove_duplicate=False)} - expected.keys()
    for theirs, ours in list(made.renamed.items()):
        if ours in frozen:
            del made.renamed[theirs], made.state[ours]
            made.left_out.append(theirs)


def _restored(value: Any, place: str = "") -> Iterator[str]:
    """Where in the model encoders stand whose weights are given; the names of arguments are those of modules."""
    if not isinstance(value, Mapping):
        return
    if str(value.get("class_path", "")).endswith("encoders.restore"):
        yield place
        return
    for key, inner in (value.get("init_args") or {} if "class_path" in value else value).items():
        yield from _restored(inner, f"{place}.{key}" if place else str(key))


def _check(expected: State, state: State, file: Path, layout: TaskLayout) -> None:
    try:
        check_same(expected, state, file)
    except WeightsError as error:
        raise WeightsError(
            f"{error}. Is it {layout.about}? What it leaves out is given by {layout.parts}; sizes by --model.NAME"
        ) from error

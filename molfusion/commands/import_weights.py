"""Published weights as an encoder of ours (encoder.yaml, encoder.safetensors), or as a run (`import_task`)."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from safetensors.torch import load_file
from torch import Tensor

from molfusion.build import build
from molfusion.commands.import_task import import_task
from molfusion.config import ConfigError, compose
from molfusion.data.files import sha256
from molfusion.describe import without_restored
from molfusion.encoders.base import Encoder, WeightsError, check_same
from molfusion.export import write_encoder
from molfusion.weights.account import account, suited
from molfusion.weights.keys import Converted
from molfusion.weights.layouts import LAYOUTS, Layout
from molfusion.weights.read import read_state
from molfusion.weights.task_layouts import TASKS

State = dict[str, Tensor]


def main(arguments: argparse.Namespace) -> int:
    if arguments.layout is None:
        return _list()
    name = _known(arguments.layout)
    if arguments.file is None or arguments.out is None:
        raise ConfigError(f"import {name} needs a file and where its encoder goes: `molfusion import {name} FILE --out FOLDER`")
    if name in TASKS:
        return import_task(arguments)
    layout = LAYOUTS[name]
    file = Path(arguments.file)
    published = read_state(file)
    try:
        made = layout.convert(published, str(file))
    except (ValueError, KeyError) as error:
        raise WeightsError(f"not the layout {name!r} ({layout.about}): {error}") from error
    held, part = _part(layout, name, arguments.part, made)
    fragment = _fragment(layout, name, file, made, part, arguments.overrides)
    encoder = _built(fragment)
    state = {key: suited(value, encoder.state_dict().get(key)) for key, value in {**held, **made.state}.items()}
    for line in account(published, made, encoder.state_dict(), held):
        print(line)
    _check(encoder, state, file, layout, arguments.part)
    origin = {"layout": name, "file": file.name, "sha256": sha256(file)}
    print(write_encoder(Path(arguments.out), "encoder", state, encoder, fragment, origin))
    return 0


def _list() -> int:
    table = Table("layout", "what it reads", box=None)
    for name, about in [*((n, e.about) for n, e in LAYOUTS.items()), *((n, t.about) for n, t in TASKS.items())]:
        table.add_row(name, about)
    Console().print(table)
    return 0


def _known(name: str) -> str:
    names = [*LAYOUTS, *TASKS]
    if name not in names:
        near = difflib.get_close_matches(name, names, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(names)}"
        raise ConfigError(f"no layout {name!r}; {hint}")
    return name


def _part(layout: Layout, name: str, path: str | None, made: Converted) -> tuple[State, dict[str, Any] | None]:
    """The state that `--part` brings, under its prefix, and its fragment."""
    if path is None:
        return {}, None
    if not layout.part or any(key.startswith(layout.part) for key in made.state):
        raise ConfigError(f"--part {path}: the checkpoint has all parts of {name!r} itself")
    tree = compose([path]).tree
    if not str(tree.get("class_path", "")).endswith("encoders.restore"):
        raise ConfigError(f"--part {path}: expected an encoder with its weights, as `molfusion import` and `export` write them")
    weights = Path(tree["init_args"]["weights"])
    if not weights.is_file():
        raise WeightsError(f"--part {path}: no weights at {weights}")
    return {layout.part + key: value for key, value in load_file(weights).items()}, without_restored(tree)


def _fragment(
    layout: Layout, name: str, file: Path, made: Converted, part: dict[str, Any] | None, overrides: Sequence[str]
) -> dict[str, Any]:
    """The encoder's, with what was set on the command line."""
    for item in overrides:
        if not item.startswith("encoder."):
            raise ConfigError(f"{item.partition('=')[0]} is no setting of the encoder; write --encoder.NAME VALUE")
    if layout.part and part is None and not any(key.startswith(layout.part) for key in made.state):
        raise WeightsError(
            f"{file} leaves out the part {layout.part!r} of {name!r}: import that first, and give its encoder.yaml with --part"
        )
    try:
        found = layout.fragment(made.state, part)
    except (KeyError, IndexError) as error:
        raise WeightsError(f"{file} is not the layout {name!r} ({layout.about}): it has nothing for {error}") from error
    tree: dict[str, Any] = compose([], [("encoder", found), *overrides]).tree["encoder"]
    return tree


def _built(fragment: dict[str, Any]) -> Encoder:
    model = {"class_path": "molfusion.tasks.Property", "init_args": {"encoder": fragment}}
    trainer = {"accelerator": "cpu", "devices": 1, "logger": False}
    task = build(compose([], [("trainer", trainer), ("model", model), ("data", {"card": "demo"})]), Path()).task
    return task.exports()["encoder"]


def _check(encoder: Encoder, state: State, file: Path, layout: Layout, part: str | None) -> None:
    try:
        check_same(encoder.state_dict(), state, file)
    except WeightsError as error:
        hint = f"; or {part} is another {layout.part.rstrip('.')}" if part else ""
        asked = f"Is it {layout.about}? Sizes that no tensor tells are set by --encoder.NAME{hint}"
        raise WeightsError(f"{error}. {asked}") from error
    encoder.load_state_dict(state)

"""Write the encoders of a run as config fragments; with --tokens also what the encoder makes of a card."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from molfusion.config import Composed, ConfigError, compose

_BASE = "experiments/base.yaml"  # for a fragment, which has no run around it
_SETTABLE = ("data.", "trainer.accelerator")


def main(arguments: argparse.Namespace) -> int:
    given = Path(arguments.run)
    if not arguments.tokens:
        if arguments.overrides or arguments.out or arguments.dtype:
            raise ConfigError("--dtype, --out and keys of the config say which tokens to write: add --tokens")
        return _export(given, arguments.checkpoint)
    for key in arguments.overrides:
        if not key.startswith(_SETTABLE):
            raise ConfigError(f"{key.partition('=')[0]} does not matter to tokens; what does: {', '.join(_SETTABLE)}")
    if given.suffix in {".yaml", ".yml"}:
        if arguments.out is None:
            raise ConfigError(f"{given} is a fragment: say with --out FILE.yaml where the fragment of its tokens goes")
        config, fragment, out = compose([_BASE], arguments.overrides), given, Path(arguments.out)
    else:
        _export(given, arguments.checkpoint)
        config = compose([given / "config.yaml"], arguments.overrides)
        fragment, out = given / "encoder.yaml", Path(arguments.out or given / "tokens.yaml")
    return _write(config, fragment, out, arguments)


def _export(folder: Path, name: str) -> int:
    if not (folder / "config.yaml").is_file():
        raise ConfigError(f"{folder} is not the folder of a run: it has no config.yaml")
    config = compose([folder / "config.yaml"])
    from molfusion.build import build
    from molfusion.export import export_encoders, load_task
    from molfusion.runner import Run, on_one_device

    checkpoint = Run(config, folder).checkpoint(name)
    here = on_one_device(config, accelerator="cpu", precision="32-true")  # also where there is no GPU
    for path in export_encoders(folder, load_task(build(here, folder).task, checkpoint), config):
        print(path)
    return 0


def _write(config: Composed, fragment: Path, out: Path, arguments: argparse.Namespace) -> int:
    from rich.console import Console
    from rich.progress import Progress

    from molfusion.build import build
    from molfusion.commands.prepare import fill
    from molfusion.encoders.base import load_pretrained
    from molfusion.tokens import write_fragment, write_tokens

    built = build(_asking(config, fragment), out.parent, (), arguments.allow_import)
    data, encoder = built.data, built.task.exports()["encoder"]
    load_pretrained(encoder)
    fill(data)
    device = built.trainer.strategy.root_device
    with Progress(console=Console(), disable=not sys.stdout.isatty()) as progress:
        bar = progress.add_task("tokens", total=None)
        manifest, path = write_tokens(
            encoder, data.card, data.load().records, data.cache / "store", arguments.dtype or "float32", device,
            data.batch_size, data.workers, lambda done, total: progress.update(bar, completed=done, total=total),
        )  # fmt: skip
    write_fragment(out, os.path.relpath(fragment.resolve(), out.parent.resolve()), manifest)
    print(out)
    print(f"{path}: {manifest.molecules} molecules of {manifest.card}, {manifest.tokens} tokens of {manifest.dim} "
          f"{manifest.dtype}, {manifest.computed} computed now, {manifest.failed} failed")  # fmt: skip
    if manifest.dtype != "float32" and manifest.largest_difference is not None:
        print(f"{manifest.dtype} moves a value by at most {manifest.largest_difference:.3g}; "
              f"the largest is {manifest.largest_value:.3g}")  # fmt: skip
    return 0


def _asking(config: Composed, fragment: Path) -> Composed:
    """The run's data under what the encoder alone reads; one device, float32."""
    encoder = compose([fragment])
    data: dict[str, Any] = {**(config.tree.get("data") or {}), "population": None, "targets": None}
    accelerator = (config.tree.get("trainer") or {}).get("accelerator", "auto")
    tree = {
        "seed_everything": config.tree.get("seed_everything") or 0,
        "trainer": {"accelerator": accelerator, "devices": 1, "logger": False},
        "model": {"class_path": "molfusion.tasks.Property", "init_args": {"encoder": encoder.tree}},
        "data": data,
    }
    inside = {f"model.init_args.encoder.{key}": file for key, file in encoder.origin.items()}
    return Composed(tree, {**config.origin, **inside})

"""Write the encoders of a run as config fragments."""

from __future__ import annotations

import argparse
from pathlib import Path

from molfusion.config import ConfigError, compose


def main(arguments: argparse.Namespace) -> int:
    folder = Path(arguments.run)
    if not (folder / "config.yaml").is_file():
        raise ConfigError(f"{folder} is not the folder of a run: it has no config.yaml")
    config = compose([folder / "config.yaml"])
    from molfusion.build import build
    from molfusion.export import export_encoders, load_task
    from molfusion.runner import Run

    run = Run(config, folder)
    checkpoint = run.checkpoint(arguments.checkpoint)
    built = build(config, folder)
    built.data.prepare_data()
    built.data.setup()
    built.task.trainer = built.trainer
    built.trainer.datamodule = built.data  # type: ignore[attr-defined]
    built.task.setup("fit")
    for path in export_encoders(folder, load_task(built.task, checkpoint), config):
        print(path)
    return 0

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
    for path in export_encoders(folder, load_task(build(config, folder).task, checkpoint), config):
        print(path)
    return 0

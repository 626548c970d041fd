"""Write a sweep's report anew."""

from __future__ import annotations

import argparse
from pathlib import Path

from molfusion.config import ConfigError


def main(arguments: argparse.Namespace) -> int:
    folder = Path(arguments.folder)
    if not (folder / "plan.json").is_file():
        raise ConfigError(f"{folder} is not the folder of a sweep: it has no plan.json")
    from molfusion.report.page import write

    print(write(folder))
    return 0

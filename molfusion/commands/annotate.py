"""Make a blinded sheet of several runs' predictions, or take rated sheets into their sweep."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from molfusion.commands.shown import table_at
from molfusion.config import ConfigError


def main(arguments: argparse.Namespace) -> int:
    return _take(arguments) if arguments.sheets else _make(arguments)


def _make(arguments: argparse.Namespace) -> int:
    from molfusion.annotation.sheet import SCALE, make, runs_in

    if not arguments.out:
        raise ConfigError("say with --out FILE.csv where the sheet goes (or take a rated one with --import)")
    out = table_at(arguments.out, Path(), [".csv"])
    runs = [run for folder in arguments.folders for run in runs_in(Path(folder))]
    key, chosen, common = make(runs, out, arguments.count, arguments.seed, arguments.with_reference)
    print("\n".join(map(str, runs)))
    print(f"{out}: {len(chosen)} of {common} molecules, each of {len(runs)} runs; to be rated from {SCALE[0]} to {SCALE[1]}")
    print(f"{key}: says which item came from which run; the annotator does not get it")
    return 0


def _take(arguments: argparse.Namespace) -> int:
    from molfusion.annotation.ratings import take

    if len(arguments.folders) != 1:
        raise ConfigError(f"--import takes the folder of one sweep, not {len(arguments.folders)}")
    sheets = [Path(file) for file in arguments.sheets]
    key = Path(arguments.key) if arguments.key else sheets[0].with_suffix(".key.json")
    sweep = Path(arguments.folders[0])
    for taken in take(sheets, key, sweep):
        for line in taken.missing:
            print(line, file=sys.stderr)
        print(f"{taken.annotator}: {taken.rated} items rated, {len(taken.missing)} not complete")
        for path in taken.written:
            print(f"  {path}")
    print(f"`molfusion report {sweep}` shows them")
    return 0

"""All benchmarks, or those named, as one table: `python -m benchmarks [--quick] [NAME …]`. See benchmarks/README.md."""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy and torch: two threads of one process spin against each other

from benchmarks import molecules
from benchmarks.table import HEAD, lines, machine


def discovered() -> dict[str, Path]:
    """Name -> file of every module here that has a function `table`."""
    found = sorted(Path(__file__).parent.glob("*.py"))
    return {path.stem: path for path in found if path.stem[0] != "_" and "\ndef table(" in path.read_text()}


def main() -> int:
    names = list(discovered())
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names)}; by default all")
    parser.add_argument("--quick", action="store_true", help="few molecules and repeats: a check that all of it runs")
    parser.add_argument("--molecules", type=Path, metavar="FILE", help="instead of the named ones: a table with `smiles`")
    arguments = parser.parse_args()
    if unknown := [name for name in arguments.names if name not in names]:
        parser.error(f"no benchmark {unknown[0]!r}; known: {', '.join(names)}")
    import torch

    torch.set_num_threads(1)
    logging.disable(logging.WARNING)
    molecules.FILE = arguments.molecules
    print(f"{machine()}\n\n{HEAD}", flush=True)
    failed = 0
    for name in arguments.names or names:
        start = time.perf_counter()
        try:
            table = importlib.import_module(f"benchmarks.{name}").table(arguments.quick)
        except Exception as error:  # one that lacks its data or its reference does not take the others along
            failed += 1
            print(f"-- {name}: failed: {type(error).__name__}: {' '.join(str(error).split())}", flush=True)
            continue
        print("\n".join(lines(name, table)), flush=True)
        print(f"   took {time.perf_counter() - start:.0f} s", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

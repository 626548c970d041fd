"""Draw what a run's answers rest on, and test whether that is so."""

from __future__ import annotations

import argparse
from pathlib import Path

from molfusion.config import ConfigError, compose


def main(arguments: argparse.Namespace) -> int:
    folder = Path(arguments.run)
    if not (folder / "config.yaml").is_file():
        raise ConfigError(f"{folder} is not the folder of a run: it has no config.yaml")
    config = compose([folder / "config.yaml"], arguments.overrides)
    from molfusion.grounding.files import deletion_test, explain, ready
    from molfusion.runner import Run

    run = Run(config, folder, (), arguments.allow_import)
    out = Path(arguments.out) if arguments.out else folder / "explain"
    these = ready(run, arguments.split, arguments.id, arguments.molecules, arguments.checkpoint)
    for g in explain(these, out, arguments.method, arguments.answers):
        print(f"{g.id}: {out / g.id}.svg, right by {g.rightness:.4f}")
    if arguments.deletion:
        every = ready(run, arguments.split, most=arguments.deletion, checkpoint=arguments.checkpoint)
        found = deletion_test(every, out, arguments.method, arguments.share)
        low, high = found["interval"]
        print(
            f"deletion, {found['molecules']} molecules: without the tokens of the top {found['share']:.0%} of atoms "
            f"{found['top']:.4f} is lost, without as many others {found['random']:.4f}; difference {found['difference']:+.4f} "
            f"[{low:+.4f}, {high:+.4f}], the top hurts more in {found['top_hurts_more']:.0%}"
        )
    return 0

"""Draw what a run's answers rest on, and test whether that is so."""

from __future__ import annotations

import argparse
from pathlib import Path

from molfusion.commands.shown import card_of, finish, loaded, molecules_of, table_and_folder
from molfusion.config import ConfigError


def main(arguments: argparse.Namespace) -> int:
    if arguments.run is None:
        if not arguments.smiles:
            raise ConfigError("say which run: molfusion explain --run FOLDER")
        arguments.run, *arguments.smiles = arguments.smiles
    given = molecules_of(arguments) or card_of(arguments)
    if given is not None and (arguments.id or arguments.molecules is not None or arguments.split is not None):
        raise ConfigError("--id, --molecules and --split choose among the run's own molecules: leave out SMILES and --data.card")
    split, most = arguments.split or "test", 8 if arguments.molecules is None else arguments.molecules
    table, folder = table_and_folder(arguments.out, Path(arguments.run) / ("explain" if given is None else "explained"))
    with loaded(arguments) as run:
        which = run.config.tree["data"]["card"] if isinstance(given, str) else given
        rows = run.explain(which, arguments.id, most, split, arguments.method, arguments.answers, arguments.text, folder)
        found = None
        if arguments.deletion:
            from molfusion.trained.explaining import deletion

            found = deletion(run, split, arguments.deletion, arguments.method, arguments.share, folder)
    for row in rows:
        what = "own answer," if row.get("answers") == "generated" else "right by"
        print(f"{row['id']}: " + (row["problem"] or f"{folder / row['drawing']}, {what} {row['rightness']:.4f}"))
    code = finish(rows, table)
    if found is not None:
        low, high = found["interval"]
        print(
            f"deletion, {found['molecules']} molecules: without the tokens of the top {found['share']:.0%} of atoms "
            f"{found['top']:.4f} is lost, without as many others {found['random']:.4f}; difference {found['difference']:+.4f} "
            f"[{low:+.4f}, {high:+.4f}], the top hurts more in {found['top_hurts_more']:.0%}"
        )
    return code

"""What a run of Captioning says of the molecules of a card, a file or the command line."""

from __future__ import annotations

import argparse
from pathlib import Path

from molfusion.commands.shown import finish, loaded, molecules_of, table_at

_SHOWN = 20


def main(arguments: argparse.Namespace) -> int:
    molecules = molecules_of(arguments)
    out = table_at(arguments.out, Path(arguments.run) / "captions.parquet")
    with loaded(arguments) as run:
        rows = run.caption(molecules, arguments.prompt)
    for row in rows[:_SHOWN]:
        print(f"{row['id']}  {row['smiles']}\n   {' '.join(row.get('text', '').split()) or row['problem'] or '(nothing)'}")
    if len(rows) > _SHOWN:
        print(f"and {len(rows) - _SHOWN} more")
    return finish(rows, out)

"""A vector for every molecule of a card, a file or the command line, and for texts."""

from __future__ import annotations

import argparse
from pathlib import Path

from molfusion.commands.shown import card_of, finish, lines_of, loaded, molecules_of, table_at


def main(arguments: argparse.Namespace) -> int:
    molecules = molecules_of(arguments)
    texts = [*arguments.text, *(line for file in arguments.texts for line in lines_of(Path(file)))]
    given = Path(arguments.run)
    folder = given.parent if given.is_file() else given
    named = card_of(arguments) is not None
    out = table_at(arguments.out, folder / "embedded.parquet")
    with loaded(arguments) as run:
        rows = run.embed(molecules) if molecules or named or not texts else []
        if texts:
            rows = [{**row, "text": ""} for row in rows] + [{"smiles": "", **row} for row in run.embed_texts(texts)]
    return finish(rows, out)

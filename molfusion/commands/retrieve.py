"""The molecules nearest to a text and the texts nearest to a molecule: a table, a file, and the molecules drawn."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from molfusion.commands.shown import draw, finish, lines_of, loaded, table_at
from molfusion.config import ConfigError

_DRAWN = 50  # molecules of a picture
_SHOWN = 160  # characters of a text on the terminal


def main(arguments: argparse.Namespace) -> int:
    queries = [*arguments.queries, *(line for file in arguments.file for line in lines_of(Path(file)))]
    if not queries:
        raise ConfigError('nothing to look for: give a text in quotes or a SMILES, or --queries FILE with one a line')
    out = table_at(arguments.out, Path(arguments.run) / "retrieved.parquet")
    with loaded(arguments) as run:
        rows = run.retrieve(queries, arguments.k, arguments.among, arguments.read_as, arguments.rerank)
    drawings = []
    for number, found in groupby(rows, lambda row: row["query_number"]):
        answers = list(found)
        _show(answers)
        if answers[0]["read_as"] == "text" and not answers[0]["problem"]:
            legends = [f"{row['rank']}: {row['similarity']:.2f}" for row in answers[:_DRAWN]]
            drawings += draw([row["smiles"] for row in answers[:_DRAWN]], legends, out.with_name(f"{out.stem}-{number}"))
    code = finish(rows, out)
    for path in drawings:
        print(path)
    return code


def _show(answers: Sequence[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    first = answers[0]
    console = Console()
    console.print(Text(f"{first['query_number']}. {' '.join(first['query'].split())}"), f"({first['read_as'] or 'not read'})")
    if first["problem"]:
        console.print(Text(f"   {first['problem']}\n"))
        return
    found = "smiles" if first["read_as"] == "text" else "text"
    matched = "match" in first
    table = Table("", "similarity", *(["match"] if matched else []), "id", found, box=None, pad_edge=False)
    for row in answers:
        match = [f"{row['match']:.3f}"] if matched else []
        shown = " ".join(row[found].split())
        if found == "text" and len(shown) > _SHOWN:
            shown = shown[: _SHOWN - 1] + "…"
        table.add_row(str(row["rank"]), f"{row['similarity']:.4f}", *match, Text(row["id"]), Text(shown, overflow="fold"))
    console.print(table, "")

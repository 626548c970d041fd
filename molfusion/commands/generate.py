"""Molecules for a text: sampled, valid, no two alike, the fitting ones first; as a table, SMILES and a picture."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from molfusion.commands.shown import draw, finish, lines_of, loaded, table_and_folder
from molfusion.config import ConfigError


def main(arguments: argparse.Namespace) -> int:
    prompts = [*arguments.prompts, *(line for file in arguments.texts for line in lines_of(Path(file)))]
    if not prompts:
        raise ConfigError('nothing to generate from: give a prompt in quotes ("" is one too), or --texts FILE with one a line')
    sampling = {name: getattr(arguments, name) for name in ("steps", "guidance", "eta")}
    table, folder = table_and_folder(arguments.out, Path(arguments.run) / "generated")
    with loaded(arguments) as run:
        rows = run.generate(prompts, arguments.count, arguments.seed, arguments.timeout, **sampling)
    beside = []
    for number, found in groupby(rows, lambda row: row["prompt_number"]):
        answers = list(found)
        _show(answers, arguments.count)
        if made := [row for row in answers if row["smiles"]]:
            legends = ["" if row["similarity"] is None else f"{row['similarity']:.2f}" for row in made]
            beside += draw([row["smiles"] for row in made], legends, folder / f"grid-{number}")
    beside.append(_list(rows, folder / "molecules.smi"))
    code = finish(rows, table)
    for path in beside:
        print(path)
    return code


def _show(answers: Sequence[dict[str, Any]], wanted: int) -> None:
    first = answers[0]
    shown = " ".join(first["prompt"].split())
    print(f"{first['prompt_number']}. {shown[:77]}{'…' if len(shown) > 77 else ''}")
    for row in answers:
        alike = "" if row["similarity"] is None else f"{row['similarity']:6.3f}  "
        print(f"   {alike}{row['smiles'] or row['problem']}")
    made = sum(bool(row["smiles"]) for row in answers)
    print(f"   {made} of {wanted} wanted: {first['valid']} of {first['samples']} samples are molecules\n")


def _list(rows: Sequence[dict[str, Any]], path: Path) -> Path:
    """The molecules alone, named by the numbers of prompt and rank."""
    from molfusion.paths import atomic

    with atomic(path) as temporary:
        temporary.write_text("".join(f"{r['smiles']}\t{r['prompt_number']}-{r['rank']}\n" for r in rows if r["smiles"]))
    return path

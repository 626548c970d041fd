"""Score the texts that a run generated once more: another tokenizer makes other numbers of BLEU and METEOR."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from molfusion.errors import MolfusionError

Row = dict[str, Any]  # split, target, text


def main(arguments: argparse.Namespace) -> int:
    rows = list(read(Path(arguments.predictions)))
    for split in dict.fromkeys(row["split"] for row in rows):
        mine = [row for row in rows if row["split"] == split]
        for name, value in rescored(mine, arguments.tokenizer or ["molfusion"], arguments.truncation).items():
            print(f"{split}/{name} {value:.4f}")
    return 0


def read(path: Path) -> Iterator[Row]:
    """The generated texts of a file, beside those that were wanted.

    Raises:
        MolfusionError: it is not there, or holds none.
    """
    if not path.is_file():
        raise MolfusionError(f"no file {path}: expected predictions.parquet of a run, or 3D-MoLM's predictions.txt")
    rows = list(_official(path) if path.suffix == ".txt" else _ours(path))
    if not rows:
        raise MolfusionError(f"{path} holds no generated text: expected columns `target` and `text`, as of Captioning")
    return iter(rows)


def _ours(path: Path) -> Iterator[Row]:
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except (OSError, ValueError) as error:
        raise MolfusionError(f"cannot read {path}: {error}".replace("\n", " ")) from error
    if {"target", "text"} <= set(table.column_names):
        for row in table.to_pylist():
            if row["text"] is not None:  # only some were generated
                yield {"split": row.get("split", "test"), "target": row["target"], "text": row["text"]}


def _official(path: Path) -> Iterator[Row]:
    """One JSON object of lists a line, each of one process."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            found = json.loads(line)
            pairs = zip(found["target"], found["prediction"], strict=True)
            yield from ({"split": "test", "target": target, "text": text} for target, text in pairs)
        except (ValueError, KeyError, TypeError) as error:
            raise MolfusionError(f"{path} line {number}: expected lists `prediction` and `target`: {error}") from error


def rescored(rows: Sequence[Row], tokenizers: Sequence[str], truncation: int | None) -> dict[str, float]:
    """Text metrics of answers in words, numeric ones of answers that are numbers.

    Raises:
        MolfusionError: there is no such tokenizer.
    """
    from molfusion.metrics import numeric, text
    from molfusion.tasks.answers import property_of

    named = [(row["text"], row["target"], property_of(row["target"])) for row in rows]
    worded = [(said, wanted) for said, wanted, name in named if name is None]
    numbers = [(said, wanted, name) for said, wanted, name in named if name is not None]
    out: dict[str, float] = {"generated": float(len(rows))}
    try:
        for tokenizer in tokenizers if worded else ():
            out |= text.scores([said for said, _ in worded], [wanted for _, wanted in worded], tokenizer, truncation)
    except FileNotFoundError as error:
        raise MolfusionError(str(error)) from error
    if numbers:
        said, wanted, names = zip(*numbers, strict=True)
        out |= numeric.scores(said, wanted, names)
    return out

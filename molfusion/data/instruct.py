"""Instruction data out of any card: its targets, what RDKit computes, and its captions, as questions and answers."""

from __future__ import annotations

import gzip
import json
import math
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from molfusion.batch import Record, Target
from molfusion.chem.calculated import CALCULATED, calculate
from molfusion.data.card import Card
from molfusion.data.files import CardError, sha256
from molfusion.paths import atomic

# Targets by the names under which their numbers are compared elsewhere.
NAMES = {"mu": "Dipole Moment", "homo": "HOMO", "lumo": "LUMO", "gap": "HOMO-LUMO Gap"}
CAPTION = "Caption"

_ASK_NUMBER = (
    "What is the {name} of this molecule?",
    "How large is the {name} of this molecule?",
    "Give the {name} of this molecule.",
    "State this molecule's {name}.",
    "Which {name} does this molecule have?",
)
_ASK_CAPTION = "Describe the molecule."
Question = dict[str, str]  # instruction, input (the molecule's id), output, task


def askable(card: Card, records: Sequence[Record]) -> list[str]:
    """What may be asked of a card: its regression targets, `CALCULATED`, and `Caption` where it has texts."""
    told = [CAPTION] if any(r.text for r in records) and not card.unfit_for_text else []
    return [*(_name(t) for t in card.target_list() if t.kind == "regression"), *CALCULATED, *told]


def usual(card: Card, records: Sequence[Record]) -> list[str]:
    """What is asked if nothing is said: of many targets only those of `NAMES`."""
    every = askable(card, records)
    targets = [_name(t) for t in card.target_list()]
    known = [name for name in targets if name in NAMES.values()]
    return [name for name in every if name not in targets or not known or name in known]


def questions(record: Record, targets: Sequence[Target], asked: Sequence[str], seed: int = 0) -> Iterator[Question]:
    """One question for each of `asked` that the record can answer; the wording is drawn by its id."""
    rng = random.Random(f"{seed}|{record.id}")
    measured = {_name(t): (t.unit, value) for t, value in zip(targets, record.targets, strict=False)}
    for name in asked:
        if name == CAPTION:
            text, answer = _ASK_CAPTION, record.text
        else:
            unit, value = measured.get(name) or (CALCULATED[name].unit, calculate(name, record.smiles))
            digits = 3 if name in measured else 2
            text = f"{rng.choice(_ASK_NUMBER).format(name=name)} Answer with a number{f' in {unit}' if unit else ''}."
            answer = "" if math.isnan(value) else number(name, value, unit, digits)
        if answer:
            yield {"instruction": text, "input": record.id, "output": answer, "task": name}


def number(name: str, value: float, unit: str, digits: int) -> str:
    """The answer to a question for a number."""
    return f"The {name} of this molecule is {value:.{digits}f}{f' {unit}' if unit else ''}."


def write(
    card: Card, records: Sequence[Record], out: Path, asked: Sequence[str] = (), seed: int = 0
) -> dict[str, Counter[str]]:
    """Questions about a card's records into the folder `out`, as a card `card.yaml` with its files.

    Returns:
        Of each split the number of questions of each task.

    Raises:
        CardError: the card does not have what is asked, or nothing can be.
    """
    known = askable(card, records)
    wanted = list(asked) or usual(card, records)
    if unknown := [name for name in wanted if name not in known]:
        raise CardError(f"card {card.name} cannot be asked for {unknown[0]!r}; it can for: {', '.join(known)}")
    by_split: dict[str, list[Question]] = {}
    for record in records:
        by_split.setdefault(record.split, []).extend(questions(record, card.target_list(), wanted, seed))
    by_split = {split: by_split[split] for split in ("train", "val", "test") if by_split.get(split)}
    if not by_split:
        raise CardError(f"card {card.name}: no record answers any of: {', '.join(wanted)}")
    write_molecules(records, out / "molecules.parquet")
    for split, found in by_split.items():
        write_questions(found, out / f"{split}.json")
    write_card(out, card, f"{card.name}_questions", f"Questions about {card.title or card.name}", list(by_split))
    return {split: Counter(q["task"] for q in found) for split, found in by_split.items()}


def write_questions(found: Sequence[Question], path: Path) -> None:
    """An Alpaca file (.json or .json.gz), one question a line."""
    lines = ",\n".join(json.dumps(q, ensure_ascii=False) for q in found)
    data = f"[\n{lines}\n]\n".encode()
    with atomic(path) as temporary:
        temporary.write_bytes(gzip.compress(data, 9, mtime=0) if path.suffix == ".gz" else data)


MOLECULES = pa.schema(
    {
        **{name: pa.string() for name in ("id", "smiles", "group", "split", "text")},
        "numbers": pa.list_(pa.uint8()),
        "positions": pa.list_(pa.float32()),
    }
)


def write_molecules(records: Sequence[Record], path: Path) -> None:
    """Records as a table of molecules."""

    def row(r: Record) -> dict[str, Any]:
        places = r.geometry
        return {
            "id": r.id, "smiles": r.smiles, "group": r.group, "split": r.split, "text": r.text,
            "numbers": places.numbers.tolist() if places else None,
            "positions": places.positions.ravel().tolist() if places else None,
        }  # fmt: skip

    with atomic(path) as temporary:
        pq.write_table(pa.Table.from_pylist([row(r) for r in records], MOLECULES), temporary, compression="zstd")


def write_card(out: Path, source: Card, name: str, title: str, splits: Sequence[str], caveats: str = "") -> None:
    """The card of a folder with molecules.parquet and a file of questions for each split."""
    card = {
        "name": name,
        "title": title,
        "licence": source.licence,
        "cite": source.cite,
        "format": "alpaca",
        "molecules": {"path": "molecules.parquet", "sha256": sha256(out / "molecules.parquet")},
        "files": {s: {"path": f"{s}.json", "sha256": sha256(out / f"{s}.json")} for s in splits},
        "columns": {"numbers": "numbers", "positions": "positions", "group": "group"},
        "split": {"by": "file"},
        "caveats": caveats or f"Made from the card {source.name}, in its splits; wordings are templates.",
    }
    with atomic(out / "card.yaml") as temporary:
        temporary.write_text(yaml.safe_dump(card, sort_keys=False, allow_unicode=True, width=120), encoding="utf-8")


def _name(target: Target) -> str:
    return NAMES.get(target.name, target.name)

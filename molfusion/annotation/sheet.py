"""A blinded sheet: which prediction came from which run stands in a key that the annotator does not get."""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq

from molfusion.config import ConfigError
from molfusion.paths import atomic

PREDICTIONS = "predictions.parquet"
SCALE = (1, 5)
RATINGS = ("correctness", "fluency")
_NOTHING = "(nothing)"


class Said(NamedTuple):
    """What one run answered to one question."""

    id: str
    group: str
    asked: str  # the question, or the text that a molecule was made for
    smiles: str  # that the question is about
    prediction: str
    reference: str


def make(
    runs: Sequence[Path], out: Path, count: int = 50, seed: int = 0, with_reference: bool = False
) -> tuple[Path, list[str], int]:
    """Write the sheet and its key (`<out>.key.json`); the key's path, the ids of the molecules on it, and of how many.

    Args:
        runs: folders of runs, of captions all or of generated molecules all.
        out: the sheet, .csv.
        count: molecules; each stands on the sheet once a run.
        seed: of the choice and of the order.
        with_reference: show the right answer too.

    Raises:
        ConfigError: a run without such predictions, or runs that were asked different things.
    """
    if out.suffix != ".csv":
        raise ConfigError(f"{out}: expected a name that ends in .csv")
    if count < 1:
        raise ConfigError(f"-n is {count}, expected at least 1")
    if len(set(map(Path.resolve, runs))) < max(1, len(runs)):
        raise ConfigError("give the folders of the runs to rate, each once" if runs else "give the folders of the runs to rate")
    kinds, said = zip(*map(_read, runs), strict=True)
    if len(set(kinds)) > 1:
        other = kinds.index(next(k for k in kinds if k != kinds[0]))
        raise ConfigError(f"{runs[0]} predicts {kinds[0]}, {runs[other]} {kinds[other]}: a sheet asks about one of them")
    common = _common(runs, said)
    rng = np.random.default_rng(int.from_bytes(_digest(seed, said), "big"))
    chosen = [common[i] for i in rng.permutation(len(common))[:count]]
    lines = _spread(rng, chosen, len(runs))
    items = dict(zip(_names(rng, len(lines)), lines, strict=True))
    columns = ["item", "asked", "prediction", *(["reference"] if with_reference else []), *RATINGS, "comment"]
    with atomic(out) as path, path.open("w", newline="", encoding="utf-8-sig") as file:  # the mark is for spreadsheets
        writer = csv.DictWriter(file, columns, restval="", extrasaction="ignore")
        writer.writeheader()
        for name, (run, record) in items.items():
            writer.writerow({**said[run][record]._asdict(), "item": name, "asked": _asked(said, record)})
    key = out.with_suffix(".key.json")
    with atomic(key) as path:
        path.write_text(json.dumps(_key(runs, said, items, kinds[0], out, seed), indent=1, ensure_ascii=False), encoding="utf-8")
    return key, chosen, len(common)


def runs_in(folder: Path) -> list[Path]:
    """The folder, if it is a run's; of a sweep (or one table of it) the first seed of every row, and the baselines."""
    first: dict[Path, Path] = {}
    for path in [] if (folder / PREDICTIONS).is_file() else sorted(folder.rglob(PREDICTIONS)):
        run = path.parent
        first.setdefault(run.parent if run.name.startswith("seed") else run, run)
    return list(first.values()) or [folder]


def digest_of(run: Path) -> str:
    """Of a run's predictions: what was rated."""
    with (run / PREDICTIONS).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# -- parts -------------------------------------------------------------------------------------------


def _read(run: Path) -> tuple[str, dict[str, Said]]:
    """What a run predicts (captions, molecules), and its answers of the test split by record."""
    path = run / PREDICTIONS
    if not path.is_file():
        raise ConfigError(f"{run} has no {PREDICTIONS}: a finished run or a baseline of a sweep has one")
    table = pq.read_table(path)
    names = set(table.column_names)
    if {"text", "target", "smiles"} <= names:
        kind = "captions"
    elif {"generated", "prompt", "smiles"} <= names:
        kind = "molecules"
    else:
        raise ConfigError(f"{run}: its predictions are neither captions nor molecules made for a text: nothing to rate")
    found: dict[str, Said] = {}
    for row in table.to_pylist():
        if row.get("split", "test") != "test" or row.get("sample"):  # of several samples the first
            continue
        if kind == "captions":
            if row["text"] is None:
                continue
            told = row.get("prompt"), row["smiles"], row["text"], row["target"]
        else:
            told = row["prompt"], "", row["generated"], row["smiles"]
        asked, smiles, prediction, reference = (" ".join((part or "").split()) for part in told)
        found[row["id"]] = Said(row["id"], row.get("group") or row["id"], asked, smiles, prediction or _NOTHING, reference)
    return kind, found


def _common(runs: Sequence[Path], said: Sequence[dict[str, Said]]) -> list[str]:
    """The records that all runs answered."""
    common = sorted(set.intersection(*(set(s) for s in said)))
    if not common:
        raise ConfigError("there is no record of the test split that all of these runs answered")
    for run, theirs in zip(runs[1:], said[1:], strict=True):
        for key in common:
            mine, other = said[0][key], theirs[key]
            same = (mine.smiles, mine.reference) == (other.smiles, other.reference)
            if not same or (mine.asked and other.asked and mine.asked != other.asked):
                raise ConfigError(f"{runs[0]} and {run} were asked different things of {key!r}: their cards differ")
    return common


def _asked(said: Sequence[dict[str, Said]], key: str) -> str:
    """The same words whatever run a line is of: a baseline does not say what the question was, and would be known by that."""
    question = next((s[key].asked for s in said if s[key].asked), "")
    return f"{question} {said[0][key].smiles}".strip()


def _digest(seed: int, said: Sequence[dict[str, Said]]) -> bytes:
    """Another seed and other predictions give other items, so that a sheet does not fit another one's key."""
    text = json.dumps([seed, [sorted(s.items()) for s in said]])
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16).digest()


def _names(rng: np.random.Generator, count: int) -> list[str]:
    names: dict[str, None] = {}
    while len(names) < count:
        names[f"i{rng.integers(1 << 32):08x}"] = None  # no spreadsheet takes it for a number
    return list(names)


def _spread(rng: np.random.Generator, ids: Sequence[str], runs: int) -> list[tuple[int, str]]:
    """(run, record) of each line: a round has every record once, of a random run; a record stays in its half of the round,
    so that at least about half a round lies between two predictions for it.
    """
    turns = {key: rng.permutation(runs) for key in ids}
    half = (len(ids) + 1) // 2
    lines = []
    for turn in range(runs):
        for part in (ids[:half], ids[half:]):
            lines += [(int(turns[part[i]][turn]), part[i]) for i in rng.permutation(len(part))]
    return lines


def _key(
    runs: Sequence[Path], said: Sequence[dict[str, Said]], items: dict[str, tuple[int, str]], kind: str, out: Path, seed: int
) -> dict[str, Any]:
    here = out.resolve().parent
    return {
        "sheet": out.name,
        "seed": seed,
        "kind": kind,
        "scale": list(SCALE),
        "wanted": list(RATINGS if kind == "captions" else RATINGS[:1]),  # a molecule has no fluency
        "runs": [{"folder": os.path.relpath(run.resolve(), here), "predictions": digest_of(run)} for run in runs],
        "items": {name: {"run": run, "id": key, "group": said[run][key].group} for name, (run, key) in items.items()},
    }

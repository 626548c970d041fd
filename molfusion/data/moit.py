"""3D-MoIT (Li et al. 2024) as published, made into tables and Alpaca files, once; the layout is that on the hub.

What is left out, and counted: molecules in several splits but for the one kept most apart (test, valid, train,
pretrain); questions in a file of a split that their molecule is not of (the script that wrote the files of computed
properties never emptied its list, so that later files hold the earlier ones); questions about no molecule; a question
that came before.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rdkit import Chem

from molfusion.chem.parse import ChemError
from molfusion.chem.placing import placed
from molfusion.data import unpickle
from molfusion.data.alpaca import read_questions
from molfusion.data.card import Card
from molfusion.data.files import CardError
from molfusion.data.instruct import CAPTION, MOLECULES, Question, write_card, write_questions
from molfusion.paths import atomic

_APART = ("test", "valid", "train", "pretrain")  # the first that has a molecule keeps it
_OURS = {"valid": "val"}
_PUBCHEM = "pubchem/{split}/3d-pubchem.lmdb"
_QC = "pubchemqc/pubchemqc_database.lmdb"
_QUESTIONS = {
    "pubchem": ("2d_computed_properties.json", "2d_descriptive_properties.json"),
    "pubchemqc": ("3d_computed_properties_unit.json",),
}
_SHARD = 4096  # molecules held at a time
_SOURCE = Card(
    name="3d-moit", licence="not stated", cite="Li et al., Towards 3D Molecule-Text Interpretation, ICLR 2024"
)


@dataclass
class Converted:
    """What came of it."""

    molecules: Counter[str] = field(default_factory=Counter)  # by split
    questions: dict[str, Counter[str]] = field(default_factory=dict)  # split -> task
    left_out: Counter[str] = field(default_factory=Counter)  # by reason


def entries(path: Path) -> Iterator[dict[str, Any]]:
    """The records of an LMDB, unpickled by a process that can do nothing else.

    Raises:
        CardError: it is not readable, or a record is not what it should be; named with its key.
    """
    kept = ("PATH", "LD_LIBRARY_PATH", "SYSTEMROOT")  # nothing secret goes along
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    command = [sys.executable, "-I", unpickle.__file__, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        for line in child.stdout:
            yield json.loads(line)
        said = child.stderr.read().strip()
    if child.returncode:
        why = said.splitlines()[-1] if said else f"its reader was killed (code {child.returncode}): too large, or too long?"
        raise CardError(f"{path}: {why}")


def convert(folder: Path, out: Path) -> Converted:
    """The published folder `folder` (with `pubchem/`, `pubchemqc/`) as cards and their files under `out`.

    `out/questions` holds instruction data of train, val and test, `out/captions` the same splits' descriptions and
    `out/pretraining` the pairs of the first two stages, with the enriched descriptions where there are any.

    Raises:
        CardError: nothing of it is there, or a file is not what it should be.
    """
    made = Converted()
    owners: dict[str, str] = {}  # id -> split
    questions: dict[str, list[Question]] = {split: [] for split in _APART}
    if not any((folder / _PUBCHEM.format(split=split)).is_file() for split in _APART) and not (folder / _QC).is_file():
        wanted = f"neither {_PUBCHEM.format(split='train')} nor {_QC}"
        raise CardError(f"{folder} holds {wanted}: is it the folder of 3d-mol-dataset?")
    with (
        _table(out / "captions" / "molecules.parquet") as captions,
        _table(out / "pretraining" / "molecules.parquet") as pretraining,
        _table(out / "questions" / "molecules.parquet") as asked,
    ):
        for split in (s for s in _APART if (folder / _PUBCHEM.format(split=s)).is_file()):
            for row in _rows(folder / _PUBCHEM.format(split=split), "pubchem", split, owners, made):
                enriched = row.pop("enriched")
                if split == "pretrain":
                    pretraining({**row, "split": "train", "text": enriched or row["text"]})
                    continue
                captions(row)
                asked(row)
                if split != "train":
                    pretraining(row)
                if row["text"]:
                    answer = {"input": row["id"], "output": row["text"], "task": CAPTION}
                    questions[split].append({"instruction": "Describe the input molecule.", **answer})
        _gather(folder, "pubchem", owners, True, questions, made)
        if (folder / _QC).is_file():
            asked_of: dict[str, str] = {}
            _gather(folder, "pubchemqc", asked_of, False, questions, made)
            for row in _rows(folder / _QC, "pubchemqc", "", owners, made, asked_of):
                row.pop("enriched")
                asked(row)
    for split, found in questions.items():
        known = [q for q in found if q["input"] in owners]
        made.left_out["a question about a molecule that is not there"] += len(found) - len(known)
        if known:
            write_questions(known, out / "questions" / f"{_OURS.get(split, split)}.json")
            made.questions[_OURS.get(split, split)] = Counter(q["task"] for q in known)
    made.left_out = +made.left_out
    _write_cards(out, made)
    return made


def _rows(
    path: Path, source: str, split: str, owners: dict[str, str], made: Converted, wanted: dict[str, str] | None = None
) -> Iterator[dict[str, Any]]:
    """The molecules of one LMDB, of one split or each of its own (`wanted`): rows of `MOLECULES`, and `enriched`."""
    table = Chem.GetPeriodicTable()
    for entry in entries(path):
        key = f"{source}-{entry['key']}"
        mine = split if wanted is None else wanted.get(key, "")
        if not mine:
            continue
        if key in owners:
            made.left_out[f"a molecule of {mine} that {owners[key]} has too"] += 1
            continue
        smiles = str(entry.get("smiles", entry.get("smi", "")))
        try:
            numbers = [table.GetAtomicNumber(symbol) for symbol in entry["atoms"]]
            positions = np.frombuffer(base64.b64decode(entry["coordinates"]), dtype="<f4").reshape(-1, 3)
            order = placed(smiles, numbers, positions)
        except (ChemError, RuntimeError, ValueError) as error:  # ChemError quotes the SMILES at its end
            made.left_out["a molecule: " + str(error).partition(" '")[0]] += 1
            continue
        owners[key] = mine
        ours = _OURS.get(mine, mine)
        made.molecules[ours] += 1
        yield {
            "id": key, "smiles": smiles, "group": key, "split": ours, "text": str(entry.get("description", "")).strip(),
            "enriched": str(entry.get("enriched_description", "")).strip(),
            "numbers": [numbers[i] for i in order], "positions": positions[order].ravel().tolist(),
        }  # fmt: skip


def _gather(
    folder: Path,
    source: str,
    owners: dict[str, str],
    settled: bool,
    questions: dict[str, list[Question]],
    made: Converted,
) -> None:
    """Add a source's questions to each split's; unless `settled`, the first file that asks about a molecule owns it."""
    seen: set[tuple[str, str, str]] = set()
    for split in ("train", "valid", "test"):  # the order in which the files were written
        for name in _QUESTIONS[source]:
            path = folder / source / split / name
            for question in read_questions(path, f"3d-moit ({source})") if path.is_file() else ():
                key = f"{source}-{question['input']}"
                owner = owners.get(key, "") if settled else owners.setdefault(key, split)
                same = (key, question["instruction"], question["output"])
                if owner and owner != split:
                    made.left_out[f"a question in a file of {split} about a molecule of {owner}"] += 1
                elif same in seen:
                    made.left_out["a question that came before"] += 1
                else:
                    seen.add(same)
                    kept = {name: question.get(name, "") for name in ("instruction", "output", "task")}
                    questions[split].append({**kept, "input": key})


def _write_cards(out: Path, made: Converted) -> None:
    told = "; ".join(f"{count:,} × {reason}" for reason, count in made.left_out.items())
    caveats = f"Left out when it was converted: {told or 'nothing'}. The first conformer of each molecule is kept."
    splits = [s for s in ("train", "val", "test") if s in made.questions]
    if splits:
        title = "3D-MoIT: questions and answers about molecules"
        write_card(out / "questions", _SOURCE, "3d_moit", title, splits, caveats)
    titles = {"captions": "the 15,000 molecules with long descriptions", "pretraining": "pairs for pretraining"}
    for name, title in titles.items():
        if (out / name / "molecules.parquet").is_file():
            columns = "".join(f"  {c}: {c}\n" for c in ("id", "smiles", "text", "numbers", "positions"))
            text = (
                f"name: 3d_moit_{name}\ntitle: '3D-MoIT: {title}'\n"
                f"licence: {_SOURCE.licence}\ncite: '{_SOURCE.cite}'\n"
                f"files:\n  all: {{path: molecules.parquet}}\ncolumns:\n{columns}split: {{by: column, column: split}}\n"
                f"caveats: |\n  {caveats}\n"
            )
            with atomic(out / name / "card.yaml") as path:
                path.write_text(text, encoding="utf-8")


@contextmanager
def _table(path: Path) -> Iterator[Callable[[dict[str, Any]], None]]:
    """A function that adds a molecule to a Parquet file, which is there when the block ends well and had any."""
    held: list[dict[str, Any]] = []
    writers: list[pq.ParquetWriter] = []
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")

    def flush() -> None:
        if not writers:
            path.parent.mkdir(parents=True, exist_ok=True)
            writers.append(pq.ParquetWriter(temporary, MOLECULES, compression="zstd"))
        writers[0].write_table(pa.Table.from_pylist(held, MOLECULES))
        held.clear()

    def add(row: dict[str, Any]) -> None:
        held.append(row)
        if len(held) == _SHARD:
            flush()

    try:
        yield add
        if held:
            flush()
        if writers:
            writers[0].close()
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)

"""Answers, explained: drawings, the weights behind them, and the deletion test."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from molfusion.batch import MoleculeBatch, Record
from molfusion.chem.highlight import KINDS, highlighted, overlaid
from molfusion.chem.parse import parse
from molfusion.encoders.deepencoder import DeepEncoder
from molfusion.grounding.answers import Answers, generated
from molfusion.grounding.attribution import Grounding, Method, ground
from molfusion.grounding.deletion import Deletion, delete, summary
from molfusion.grounding.scores import predicted, rightness
from molfusion.paths import atomic
from molfusion.tasks.base import Task
from molfusion.tasks.captioning import Captioning
from molfusion.tasks.property import Property
from molfusion.views.image import Images

GROUNDING, DELETION = "grounding.json", "deletion.json"


def explained(
    task: Task, batch: MoleculeBatch, records: Sequence[Record], folder: Path, method: Method, answers: Answers
) -> list[dict[str, Any]]:
    """Write `<id>.svg` and `.png` (atoms) and `<id>-picture.png` (parts of the picture); the numbers behind them.

    Rows have `id`, `smiles`, `text`, `rightness` (of a property's own answer: the prediction, in training spreads), `atoms`
    [N], `shells` [R, level + 1], `pictures` (each [rows, columns]), `answers` and `drawing`, a file in the folder.

    Args:
        task: trained.
        batch: on the task's device.
        records: in the batch's order.
        folder: of the drawings.
        method: as of `ground`.
        answers: the records', or the model's own.
    """
    score = rightness
    if answers == "generated" and isinstance(task, Captioning):
        batch, records = generated(task, batch, records)
    elif answers == "generated" and isinstance(task, Property):
        score = predicted
    rows = []
    for i, g in enumerate(ground(task, batch, records, method, score)):
        name = re.sub(r"[^\w.+-]", "_", g.id)
        for kind in KINDS:
            _write(folder / f"{name}.{kind}", highlighted(parse(g.smiles), g.atoms.tolist(), kind))
        if g.pictures:
            _write(folder / f"{name}-picture.png", overlaid(_seen(task, batch, i), g.pictures[-1]))
        rows.append({**_row(g, batch.texts[i]), "answers": answers, "drawing": f"{name}.svg"})
    return rows


def write_grounding(rows: Sequence[dict[str, Any]], folder: Path, method: Method, answers: Answers) -> None:
    """The explained ones as grounding.json, which the report of a sweep reads."""
    told = {"method": method, "answers": answers, "molecules": [row for row in rows if not row["problem"]]}
    _write(folder / GROUNDING, json.dumps(told, indent=1).encode())


def deletion_test(
    task: Task,
    pieces: Iterable[tuple[MoleculeBatch, Sequence[Record]]],
    folder: Path,
    method: Method = "gradient",
    share: float = 0.25,
    draws: int = 10,
) -> dict[str, Any]:
    """Write deletion.json: what is lost without the top atoms' tokens, and without random ones."""
    deletions: list[Deletion] = []
    for batch, records in pieces:
        deletions += delete(task, batch, records, method, share, draws, seed=len(deletions))
    result = {"method": method, "share": share, "draws": draws, **summary(deletions)}
    _write(folder / DELETION, json.dumps(result, indent=1).encode())
    return result


def _seen(task: Task, batch: MoleculeBatch, i: int) -> NDArray[np.uint8]:
    """The whole picture of a molecule, as the encoder sees it."""
    view = next(m for m in task.modules() if isinstance(m, DeepEncoder)).view
    images: Images = batch[view]
    return images.pixels[i].cpu().numpy()


def _row(g: Grounding, text: str) -> dict[str, Any]:
    pictures = [p.round(8).tolist() for p in g.pictures]
    return {
        "id": g.id, "smiles": g.smiles, "text": text, "rightness": g.rightness, "atoms": g.atoms.round(8).tolist(),
        "shells": g.shells.round(8).tolist(), "pictures": pictures,
    }  # fmt: skip


def _write(path: Path, content: bytes) -> None:
    with atomic(path) as temporary:
        temporary.write_bytes(content)

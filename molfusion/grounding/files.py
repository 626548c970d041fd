"""A run's answers, explained: drawings, the weights behind them, and the deletion test."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray

from molfusion.batch import MoleculeBatch, Record
from molfusion.chem.highlight import KINDS, highlighted, overlaid
from molfusion.chem.parse import parse
from molfusion.config import ConfigError
from molfusion.data.datamodule import MoleculeDataset
from molfusion.encoders.base import NotApplicable
from molfusion.encoders.deepencoder import DeepEncoder
from molfusion.export import load_task
from molfusion.grounding.attribution import Grounding, Method, ground
from molfusion.grounding.deletion import Deletion, delete, summary
from molfusion.grounding.watch import Watch
from molfusion.paths import atomic
from molfusion.runner import Run, on_one_device
from molfusion.tasks.base import Task
from molfusion.tasks.captioning import Captioning
from molfusion.views.image import Images

GROUNDING, DELETION = "grounding.json", "deletion.json"
Answers = Literal["given", "generated"]


class Ready(NamedTuple):
    """A trained task beside the molecules to explain."""

    task: Task
    dataset: MoleculeDataset
    indices: list[int]  # of them
    batch_size: int
    device: torch.device

    def batches(self, answers: Answers = "given") -> Any:
        """(batch, records), piece by piece."""
        for start in range(0, len(self.indices), self.batch_size):
            places = [(i, 0) for i in self.indices[start : start + self.batch_size]]
            records = [self.dataset.records[i] for i, _ in places]
            batch = self.dataset.__getitems__(places).to(self.device)
            if answers == "generated":
                batch, records = self._answered(batch, records)
            yield batch, records

    def _answered(self, batch: MoleculeBatch, records: list[Record]) -> tuple[MoleculeBatch, list[Record]]:
        """With the language model's own answers in the place of the right ones."""
        task = self.task
        if not isinstance(task, Captioning):
            raise NotApplicable(f"answers: {type(task).__name__} generates none; explain those given")
        said = [row["text"] or " " for row in task.predictions(batch)]
        records = [replace(r, text=text) for r, text in zip(records, said, strict=True)]
        view = task.lm.view
        asked = view.collate([view.featurise(r) for r in records]).to(self.device)
        return replace(batch, texts=said, views={**batch.views, view: asked}), records


def ready(run: Run, split: str = "test", ids: Sequence[str] = (), most: int = 8, checkpoint: str = "best") -> Ready:
    """A run's checkpoint and some molecules of a split: those named, or the first ones.

    Raises:
        ConfigError: no such molecule.
        NotApplicable: nothing that could be pointed at.
    """
    built = Run(on_one_device(run.config), run.folder, run.callbacks, run.allowed).built()
    task = load_task(built.task, run.checkpoint(checkpoint)).eval()
    Watch(task)
    data = built.data
    data.prepare_data()
    data.setup("test")
    dataset = cast(MoleculeDataset, (data.val_dataloader() if split == "val" else data.test_dataloader()).dataset)
    known = [r.id for r in data.records[split]]
    if unknown := [i for i in ids if i not in known]:
        raise ConfigError(f"there is no molecule {unknown[0]!r} in the {split} split of {data.card.name}; such as {known[0]!r}")
    indices = [known.index(i) for i in ids] if ids else list(range(min(most, len(known))))
    device = built.trainer.strategy.root_device
    return Ready(task.to(device), dataset, indices, data.batch_size, device)


def explain(these: Ready, folder: Path, method: Method = "gradient", answers: Answers = "given") -> list[Grounding]:
    """Write `<id>.svg` and `.png` (atoms), `<id>-picture.png` (parts of the picture) and the numbers, as grounding.json."""
    found: list[Grounding] = []
    said, drawn = list[str](), list[str]()
    for batch, records in these.batches(answers):
        some = ground(these.task, batch, records, method)
        for i, g in enumerate(some):
            name = re.sub(r"[^\w.+-]", "_", g.id)
            for kind in KINDS:
                _write(folder / f"{name}.{kind}", highlighted(parse(g.smiles), g.atoms.tolist(), kind))
            drawn.append(f"{name}.svg")
            if g.pictures:
                _write(folder / f"{name}-picture.png", overlaid(_seen(these.task, batch, i), g.pictures[-1]))
        found += some
        said += batch.texts
    rows = [{**_row(g, text), "drawing": name} for g, text, name in zip(found, said, drawn, strict=True)]
    _write(folder / GROUNDING, json.dumps({"method": method, "answers": answers, "molecules": rows}, indent=1).encode())
    return found


def deletion_test(
    these: Ready, folder: Path, method: Method = "gradient", share: float = 0.25, draws: int = 10
) -> dict[str, Any]:
    """Write deletion.json: what is lost without the top atoms' tokens, and without random ones."""
    deletions: list[Deletion] = []
    for batch, records in these.batches():
        deletions += delete(these.task, batch, records, method, share, draws, seed=len(deletions))
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
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as temporary:
        temporary.write_bytes(content)

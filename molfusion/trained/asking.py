"""Put a question to a model, batch by batch: an answer for every molecule or text, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import lightning as L
import torch

from molfusion.batch import MoleculeBatch, Record
from molfusion.data.asked import Asked
from molfusion.data.datamodule import MoleculeData
from molfusion.errors import MolfusionError, first_line
from molfusion.views.base import View, ViewError
from molfusion.views.batches import batch_of

Rows = list[dict[str, Any]]
Question = Callable[[MoleculeBatch], Rows]
Progress = Callable[[str, int, int], None]  # (what, done, of how many)

# What a single molecule may be at fault for: a prompt beyond a language model's positions, a molecule beyond the memory.
_FAULTS = (MolfusionError, ViewError, RuntimeError, IndexError, ValueError)


class Asker:
    """Where and how exactly a model computes: the device and the precision of a trainer.

    Args:
        module: the model; moved there, in eval mode.
        trainer: says where.
        progress: told now and then how far it is.
    """

    def __init__(self, module: torch.nn.Module, trainer: L.Trainer, progress: Progress | None = None) -> None:
        self.device = trainer.strategy.root_device
        self.precision = trainer.precision_plugin
        self.module = self.precision.convert_module(module).to(self.device).eval()
        self.progress = progress

    def follow(self, data: MoleculeData) -> None:
        """Have it told how far featurising is."""
        data.on_progress = None if self.progress is None else self._featurising

    def molecules(self, data: Asked, question: Question) -> Rows:
        """A row for every molecule, in the order given; `row` says which it is, `problem` why it has no answer."""
        self.follow(data)
        data.setup("predict")
        rows = self.answers(data.batches(), data.asked, data.alone, question, "molecules")
        lost = [{"id": d.id, "smiles": d.smiles, "problem": d.reason} for d in data.dropped]
        return data.in_order([*rows, *lost])

    def texts(self, records: Sequence[Record], views: Iterable[View], question: Question, size: int) -> Rows:
        """A row for every record, whose text alone is read."""
        views = list(views)
        fit = list[Record]()
        problems = dict[str, str]()
        for record in records:
            try:
                for view in views:
                    view.featurise(record)
                fit.append(record)
            except (ViewError, MolfusionError) as error:
                problems[record.id] = first_line(error)
        batches = (batch_of(fit[i : i + size], views) for i in range(0, len(fit), size))
        rows = self.answers(batches, fit, lambda r: batch_of([r], views), question, "texts")
        answered = {row["id"]: row for row in rows}
        return [answered.get(r.id) or {"id": r.id, "problem": problems[r.id]} for r in records]

    def ask(self, batch: MoleculeBatch, question: Question) -> Rows:
        """The answers for one batch, as they come."""
        with torch.no_grad(), self.precision.forward_context():  # in inference mode no question could ask for gradients
            return question(batch.to(self.device))

    def answers(
        self,
        batches: Iterable[MoleculeBatch],
        records: Sequence[Record],
        alone: Callable[[Record], MoleculeBatch],
        question: Question,
        what: str,
    ) -> Rows:
        """A row for every record, with the `problem` of those on which the model fails.

        Args:
            batches: of the records, in their order.
            records: all of them.
            alone: a batch of one.
            question: to each batch.
            what: is done, for the progress.
        """
        rows: Rows = []
        for batch in batches:
            mine = records[len(rows) : len(rows) + len(batch)]
            try:
                rows += [{**row, "problem": ""} for row in self.ask(batch, question)]
            except _FAULTS:
                rows += [self._alone(record, alone, question) for record in mine]
            if self.progress is not None:
                self.progress(what, len(rows), len(records))
        return rows

    # -- parts ---------------------------------------------------------------------------------------

    def _alone(self, record: Record, alone: Callable[[Record], MoleculeBatch], question: Question) -> dict[str, Any]:
        """One at a time, so that only the one at fault is without an answer."""
        try:
            (row,) = self.ask(alone(record), question)
        except _FAULTS as error:
            return {"id": record.id, "smiles": record.smiles, "problem": f"{type(error).__name__}: {first_line(error)}"}
        return {**row, "problem": ""}

    def _featurising(self, view: View, done: int, total: int) -> None:
        assert self.progress is not None
        self.progress(type(view).__name__, done, total)

"""Whose answer is explained: the right one that a record holds, or the model's own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from molfusion.batch import MoleculeBatch, Record
from molfusion.tasks.base import Task
from molfusion.tasks.captioning import Captioning
from molfusion.tasks.property import Property

Answers = Literal["given", "generated"]


def generates(task: Task) -> bool:
    """Whether the task has an answer of its own to explain; retrieval only compares."""
    return isinstance(task, Captioning | Property)


def unanswered(task: Task, record: Record) -> str:
    """Why a record holds no right answer to explain; "" if it does."""
    if isinstance(task, Property):
        return "" if any(map(math.isfinite, record.targets)) else "there is no right value to explain: ask for generated answers"
    other = "give one, or ask for generated answers" if generates(task) else "give one"
    return "" if record.text.strip() else f"there is no right text to explain: {other}"


def generated(task: Captioning, batch: MoleculeBatch, records: Sequence[Record]) -> tuple[MoleculeBatch, list[Record]]:
    """With the language model's own answers in the place of the right ones."""
    said = [row["text"] or " " for row in task.predictions(batch)]
    changed = [replace(r, text=text) for r, text in zip(records, said, strict=True)]
    view = task.lm.view
    asked = view.collate([view.featurise(r) for r in changed]).to(batch.targets.device)
    return replace(batch, texts=said, views={**batch.views, view: asked}), changed

"""What a task calls right, or says, molecule by molecule: the number whose reasons are asked for."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from molfusion.batch import MoleculeBatch
from molfusion.encoders.base import NotApplicable
from molfusion.tasks.base import Task
from molfusion.tasks.captioning import Captioning
from molfusion.tasks.property import Property
from molfusion.tasks.retrieval import Retrieval


def rightness(task: Task, batch: MoleculeBatch) -> Tensor:
    """[B], higher is better: of a caption its mean log-likelihood a token, of retrieval the cosine with the molecule's own
    text, of properties minus the mean error in training spreads (cross-entropy of classes).

    Raises:
        NotApplicable: another task.
    """
    check_answers(task)
    if isinstance(task, Captioning):
        found = task.lm.likelihood(task.soft(batch), batch)
        return -found.nll / found.tokens
    if isinstance(task, Retrieval):
        molecules, texts = task.towers.embed_molecules(batch), task.towers.embed_texts(batch)
        cosine: Tensor = torch.einsum("bqp,bp->bq", molecules, texts).amax(1)
        return cosine
    assert isinstance(task, Property)
    out, y = task(batch), batch.targets
    known = torch.isfinite(y)
    y = torch.where(known, y, torch.zeros_like(y))
    error = torch.where(
        task.is_class, F.binary_cross_entropy_with_logits(out, y, reduction="none"), (out - (y - task.mean) / task.std).abs()
    )
    return -(error * known).sum(1) / known.sum(1).clamp(min=1)


def predicted(task: Task, batch: MoleculeBatch) -> Tensor:
    """[B], what a `Property` says, right or not: mean over its targets, in training spreads from the mean (logits of classes)."""
    found: Tensor = task(batch)
    return found.mean(1)


def check_answers(task: Task) -> None:
    """Raises NotApplicable for a task that has no answer for each molecule."""
    if not isinstance(task, Captioning | Property | Retrieval):
        raise NotApplicable(
            f"grounding: {type(task).__name__} has no answer for each molecule; it needs Captioning, Property or Retrieval"
        )

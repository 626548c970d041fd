"""One vector a molecule or text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import Tensor

from molfusion.batch import MoleculeBatch, Record
from molfusion.encoders.base import Encoder, NotApplicable
from molfusion.nn.pooling import masked_mean
from molfusion.tasks.base import Task
from molfusion.tasks.generation import clean_text
from molfusion.tasks.retrieval import Retrieval
from molfusion.trained.asking import Rows
from molfusion.views.base import View
from molfusion.views.text import TextView
from molfusion.views.tokens import TokensView

if TYPE_CHECKING:
    from molfusion.trained.trained import Molecules, Trained


def molecules(run: Trained, which: Molecules) -> Rows:
    """Rows with `id`, `row`, `smiles`, `vector` [P or D], `problem`.

    Raises:
        NotApplicable: the encoder reads texts.
    """
    model = run.model
    if isinstance(model, Retrieval):
        towers, views = model.towers, model.encoder.views

        def vectors(batch: MoleculeBatch) -> Tensor:
            return F.normalize(towers.embed_molecules(batch).mean(1), dim=-1)
    else:
        encoder = run.encoder
        views = encoder.views
        if reads_text(views):
            raise NotApplicable(f"{run.path}: {type(encoder).__name__} reads texts, not molecules: give it some with --texts")

        def vectors(batch: MoleculeBatch) -> Tensor:
            return pooled(encoder, batch)

    def question(batch: MoleculeBatch) -> Rows:
        found = vectors(batch).float().tolist()
        return [{"id": i, "smiles": s, "vector": v} for i, s, v in zip(batch.ids, batch.smiles, found, strict=True)]

    return run.asker().molecules(run.asked(which, views), question)


def texts(run: Trained, given: Sequence[str]) -> Rows:
    """Rows with `id` (the number), `text`, `vector`, `problem`.

    Raises:
        NotApplicable: there is no text side.
    """
    if isinstance(run.model, Retrieval):
        towers, views = run.model.towers, run.model.towers.loss_views

        def vectors(batch: MoleculeBatch) -> Tensor:
            found: Tensor = towers.embed_texts(batch)
            return found
    elif not isinstance(run.model, Task) and reads_text(run.encoder.views):
        encoder = run.encoder
        views = encoder.views

        def vectors(batch: MoleculeBatch) -> Tensor:
            return pooled(encoder, batch)
    else:
        what = f"a run of {type(run.model).__name__}" if isinstance(run.model, Task) else f"a {type(run.encoder).__name__}"
        raise NotApplicable(f"{run.path} is {what}, which has no text side; a run of Retrieval and its text.yaml do")

    def question(batch: MoleculeBatch) -> Rows:
        found = vectors(batch).float().tolist()
        return [{"id": i, "vector": v} for i, v in zip(batch.ids, found, strict=True)]

    kept = [as_record(str(n), text) for n, text in enumerate(given, 1)]
    told = [r for r in kept if r.text.strip()]
    answered = {row["id"]: row for row in run.asker().texts(told, views, question, run.data.batch_size)}
    empty = {"problem": "the text is empty"}
    return [{"id": r.id, "text": r.text, **answered.get(r.id, empty)} for r in kept]


def as_record(key: str, text: str) -> Record:
    """A text without a molecule."""
    return Record(key, "", "", text=clean_text(text))


def pooled(encoder: Encoder, batch: MoleculeBatch) -> Tensor:
    """[B, D]: the mean of the tokens, those for the whole molecule left out."""
    x, mask = encoder(batch)
    first = encoder.summary_tokens
    return masked_mean(x[:, first:], mask[:, first:])


def reads_text(views: Iterable[View]) -> bool:
    """Whether an encoder of these views reads what was written about a molecule."""
    return any(
        (isinstance(v, TextView) and v.reads == "text") or (isinstance(v, TokensView) and v.of == "text") for v in views
    )

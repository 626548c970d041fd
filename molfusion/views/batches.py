"""A batch of records that no store has seen: prompts a user types, molecules a model made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch

from molfusion.batch import MoleculeBatch, Record
from molfusion.views.base import View


def batch_of(records: Sequence[Record], views: Iterable[View]) -> MoleculeBatch:
    """Featurised here and now, without targets.

    Raises:
        ViewError: a molecule has no such view.
    """
    return MoleculeBatch(
        ids=[r.id for r in records],
        smiles=[r.smiles for r in records],
        texts=[r.text for r in records],
        groups=[r.group for r in records],
        scopes=[r.scope for r in records],
        pools=[r.pool for r in records],
        prompts=[r.prompt for r in records],
        targets=torch.zeros(len(records), 0),
        views={view: view.collate([view.featurise(r) for r in records]) for view in views},
    )

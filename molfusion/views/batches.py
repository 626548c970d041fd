"""A batch of records that no store has seen: prompts a user types, molecules a model made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from molfusion.batch import MoleculeBatch, Record
from molfusion.views.base import View


def batch_of(records: Sequence[Record], views: Iterable[View]) -> MoleculeBatch:
    """Featurised here and now, without targets.

    Raises:
        ViewError: a molecule has no such view.
    """
    return MoleculeBatch.of(records, {view: view.collate([view.featurise(r) for r in records]) for view in views})

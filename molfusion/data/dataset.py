"""Records and their stored views as batches."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from molfusion.batch import MoleculeBatch, Record
from molfusion.data.borrow import How, donors
from molfusion.data.store import ViewStore
from molfusion.views.base import View


class MoleculeDataset(torch.utils.data.Dataset[MoleculeBatch]):
    """Records and their stored views; a list of (index, epoch) becomes a `MoleculeBatch`.

    Args:
        records: in any order.
        stores: of the views that are stored.
        views: to put into each batch.
        sentences: how many sentences of each caption to keep, drawn anew each epoch; None: all.
        seed: of that draw.
        borrowed: views that molecules show of others, and how (see `donors`).
    """

    def __init__(
        self,
        records: Sequence[Record],
        stores: dict[View, ViewStore],
        views: Iterable[View],
        sentences: int | None = None,
        seed: int = 0,
        borrowed: Mapping[View, How] | None = None,
    ) -> None:
        self.records = records
        self._donors = {view: donors(records, how, seed) for view, how in (borrowed or {}).items()}
        self.views = sorted(views, key=repr)
        self.stores = stores
        self._places = {v: stores[v].places(records) for v in self.views if v.stored}  # here, for all workers at once
        self.sentences, self.seed = sentences, seed

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> MoleculeBatch:
        return self.__getitems__([(index, 0)])

    def __getitems__(self, indices: Sequence[tuple[int, int]]) -> MoleculeBatch:
        records = [self._drawn(i, epoch) for i, epoch in indices]
        rows = np.array([i for i, _ in indices])
        width = max((len(r.targets) for r in records), default=0)
        targets = np.array([r.targets or (np.nan,) * width for r in records], dtype=np.float32)
        views = {view: self._view(view, records, rows) for view in self.views}
        return MoleculeBatch.of(records, views, torch.from_numpy(targets).reshape(len(records), width))

    def _view(self, view: View, records: Sequence[Record], rows: NDArray[np.int64]) -> Any:
        """One view's batch of these records, which are `rows` of all, as far as they show their own."""
        if view in self._donors:
            rows = self._donors[view][rows]
            records = [self.records[i] for i in rows]
        if not view.stored:
            return view.collate([view.featurise(r) for r in records])
        store = self.stores[view]
        # Where captions are cut, what is kept by its text is another text's.
        places = self._places[view][rows] if self.sentences is None else store.places(records)
        if (places < 0).any():
            places = store.places(records)  # added since, perhaps
            for i in (places < 0).nonzero()[0].tolist():
                store.get(records[i])  # says why it is not there
        return view.collate_flat(store.gather(places))

    def _drawn(self, index: int, epoch: int) -> Record:
        """The record, its caption cut to some of its sentences: a function of (seed, epoch, index) alone."""
        record = self.records[index]
        if self.sentences is None:
            return record
        told = [f.text for f in record.facts] or re.split(r"(?<=[.!?])\s+", record.text)
        if len(told) <= self.sentences:
            return record
        drawn = np.random.default_rng((self.seed, epoch, index)).choice(len(told), self.sentences, replace=False)
        return replace(record, text=" ".join(told[i] for i in sorted(drawn)))

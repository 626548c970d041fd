"""Molecules a second and core from a warm store to batches: one gather a field, beside padding molecule by molecule.

    python -m benchmarks collate

The store holds the embedded demo molecules over and over under names of their own, in several shards. Batches are drawn
at random. Both sides read the same store; their batches are compared.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import molecules, plain
from benchmarks.table import Row, Table, timed
from molfusion.batch import Record
from molfusion.data.dataset import MoleculeDataset
from molfusion.data.store import Entry, ViewStore
from molfusion.views import ConformerView, E3FPView, FingerprintView, GraphView, RelationsView, View

VIEWS: dict[str, View] = {
    "conformer": ConformerView(), "graph": GraphView(), "relations": RelationsView(), "e3fp": E3FPView(),
    "fingerprint": FingerprintView(),
}  # fmt: skip
BATCH, SHARDS = 1024, 4


def table(quick: bool) -> Table:
    count = 200
    records = molecules.demo(count)
    sizes = [int((r.geometry.numbers != 1).sum()) for r in records if r.geometry is not None]
    copies = [replace(r, id=f"{r.id}-{k}", smiles=r.smiles) for k in range(2 if quick else 20) for r in records]
    rows = []
    for name, view in VIEWS.items():
        with tempfile.TemporaryDirectory() as folder:
            rows += measure(name, view, records, copies, Path(folder), 3 if quick else 10)
    about = (
        f"{count} molecules of the demo set, {min(sizes)} to {max(sizes)} heavy atoms, median {int(np.median(sizes))}; "
        f"batches of {BATCH} from {SHARDS} shards"
    )
    return Table(
        about, rows,
        "plain: the arrays of one molecule after the other, padded in a loop. 'whole batch': ids, texts and targets with it.",
    )  # fmt: skip


def measure(name: str, view: View, records: Sequence[Record], copies: list[Record], root: Path, batches: int) -> list[Row]:
    store = ViewStore(root, view)
    for part in range(SHARDS):
        some = records[part::SHARDS]
        store.append([Entry(view.key(r), r.id, r.smiles, "ok", "", 0.0, view.featurise(r)) for r in some])
    dataset = MoleculeDataset(copies, {view: store}, [view])
    rng = np.random.default_rng(0)
    ours, theirs, whole = [], [], []
    for _ in range(batches):
        chosen = rng.integers(len(copies), size=BATCH)
        drawn = [copies[i] for i in chosen]
        places = store.places(drawn)
        mine, batch = timed(lambda p=places: view.collate_flat(store.gather(p)), 3)
        usual, other = timed(lambda d=drawn: plain.collate(view, [store.get(r) for r in d]), 1)
        assert same(batch, other), f"another batch of {view!r}"
        spent, _ = timed(lambda c=chosen: dataset.__getitems__([(int(i), 0) for i in c]), 3)
        ours.append(BATCH / mine * 1e3)
        theirs.append(BATCH / usual * 1e3)
        whole.append(BATCH / spent * 1e3)
    return [
        Row(f"collate {name}", ours, theirs, "molecules/s", more_is_better=True),
        Row(f"collate {name}, whole batch", whole, (), "molecules/s", more_is_better=True),
    ]


def same(batch: Any, other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(getattr(batch, name), value) for name, value in other.items())

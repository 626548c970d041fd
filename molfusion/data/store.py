"""The feature store: what a view computed for a molecule, once, for every run that asks.

One folder a view; in it shards, each an Arrow file with one row a molecule: its content key, how it went (`ok` or
the reason not), how long it took, and its arrays as flat values plus offsets. Shards are memory-mapped, written
beside and renamed, and never changed: a kill leaves the shards before it, and writers need no lock.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
from numpy.typing import NDArray

from molfusion.batch import Record
from molfusion.errors import MolfusionError
from molfusion.paths import atomic
from molfusion.views.base import Features, View, ViewError


@dataclass(frozen=True, slots=True)
class Entry:
    """What became of one molecule under one view."""

    key: bytes
    id: str
    smiles: str
    status: str  # ok | failed | timed_out | crashed
    reason: str
    seconds: float
    features: Features | None = None


_LEDGER = {
    "key": pa.binary(16),
    "id": pa.string(),
    "smiles": pa.string(),
    "status": pa.string(),
    "reason": pa.string(),
    "seconds": pa.float32(),
}


class ViewStore:
    """Reads and extends one view's shards."""

    def __init__(self, root: Path, view: View) -> None:
        self.view = view
        self.folder = root / view.name()
        self._rows: dict[bytes, tuple[int, int]] = {}  # key -> shard, row
        self._ledger: list[pa.Table] = []
        self._fields: list[dict[str, _Field]] = []
        self._ok: list[NDArray[np.bool_]] = []
        self._seen: set[str] = set()
        self.refresh()

    def refresh(self) -> None:
        """Take in shards that appeared since the last look (other processes may be writing)."""
        for path in sorted(self.folder.glob("*.arrow")):
            if path.name not in self._seen:
                self._seen.add(path.name)
                self._open(path)

    def __contains__(self, record: Record) -> bool:
        return self.view.key(record) in self._rows

    def __len__(self) -> int:
        return len(self._rows)

    def get(self, record: Record) -> Features:
        """The arrays of one molecule, without a copy.

        Raises:
            ViewError: it has none; the reason the ledger gives.
            KeyError: it was never prepared (or what the view says of it: `View.missing`).
        """
        key = self.view.key(record)
        if key not in self._rows:
            raise self.view.missing(record)
        shard, row = self._rows[key]
        fields = self._fields[shard]
        entry = self._ledger[shard]
        if entry["status"][row].as_py() != "ok":
            raise ViewError(f"{entry['status'][row].as_py()}: {entry['reason'][row].as_py()}")
        return {name: field.row(row) for name, field in fields.items()}

    def has(self, record: Record) -> bool:
        """Whether the molecule was prepared and has this view."""
        where = self._rows.get(self.view.key(record))
        return where is not None and self._ok[where[0]][where[1]]

    def failures(self) -> list[Entry]:
        """The ledger: every molecule that has no such view, and why."""
        out = []
        for table in self._ledger:
            for row in table.filter(pa.compute.not_equal(table["status"], "ok")).to_pylist():
                out.append(Entry(**row))
        return out

    def append(self, entries: Sequence[Entry]) -> None:
        """Write one shard. It is there whole or not at all."""
        if not entries:
            return
        table = _to_table(entries)
        digest = hashlib.blake2b(b"".join(sorted(e.key for e in entries)), digest_size=6).hexdigest()
        path = self.folder / f"{digest}-{uuid.uuid4().hex[:8]}.arrow"
        with (
            atomic(path) as temporary,
            pa.OSFile(str(temporary), "wb") as sink,
            pa.ipc.new_file(sink, table.schema) as writer,
        ):
            writer.write_table(table)
        self.refresh()

    def _open(self, path: Path) -> None:
        try:
            table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
        except (pa.ArrowInvalid, OSError) as error:
            raise StoreError(
                f"{path} cannot be read ({error}); delete it and run `molfusion prepare` again: "
                "only its molecules are computed anew"
            ) from error
        shard = len(self._ledger)
        self._ledger.append(table.select(list(_LEDGER)))
        self._ok.append(np.array([s == "ok" for s in table["status"].to_pylist()]))
        shapes = json.loads((table.schema.metadata or {}).get(b"shapes", b"{}"))
        self._fields.append({name: _Field(table[f"array:{name}"], tuple(shape)) for name, shape in shapes.items()})
        for row, key in enumerate(table["key"].to_pylist()):
            known = self._rows.get(key)
            if known is None or not self._ok[known[0]][known[1]]:
                self._rows[key] = (shard, row)


class StoreError(MolfusionError):
    """The store on disk is damaged; the message says which file, and what to do."""


class _Field:
    """One array field of a shard: flat values, offsets, and the shape of one item behind its first axis."""

    def __init__(self, column: pa.ChunkedArray, shape: tuple[int, ...]) -> None:
        lists = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
        self.values = lists.values.to_numpy(zero_copy_only=True)
        self.offsets = lists.offsets.to_numpy(zero_copy_only=True)
        self.shape = shape

    def row(self, i: int) -> NDArray[Any]:
        row: NDArray[Any] = self.values[self.offsets[i] : self.offsets[i + 1]].reshape(-1, *self.shape)
        return row


def _to_table(entries: Sequence[Entry]) -> pa.Table:
    columns = {name: pa.array([getattr(e, name) for e in entries], type=kind) for name, kind in _LEDGER.items()}
    shapes: dict[str, list[int]] = {}
    example = next((e.features for e in entries if e.features is not None), None)
    for name, array in (example or {}).items():
        shapes[name] = list(array.shape[1:])
        rows = [e.features[name].ravel() if e.features is not None else array[:0].ravel() for e in entries]
        offsets = np.concatenate([[0], np.cumsum([len(r) for r in rows])]).astype(np.int64)
        columns[f"array:{name}"] = pa.LargeListArray.from_arrays(offsets, np.concatenate(rows))
    return pa.table(columns).replace_schema_metadata({"shapes": json.dumps(shapes)})


def ledger_table(stores: Iterable[ViewStore]) -> list[dict[str, Any]]:
    """The failures of several views as plain rows, for a report or a file."""
    return [
        {"view": repr(s.view), "id": e.id, "smiles": e.smiles, "status": e.status, "reason": e.reason}
        for s in stores
        for e in s.failures()
    ]

"""One shard of the feature store: an Arrow file with one row a molecule, whose name ends in the CRC-32 of its bytes."""

from __future__ import annotations

import json
import math
import uuid
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from molfusion.batch import Ragged
from molfusion.errors import MolfusionError
from molfusion.paths import atomic
from molfusion.views.base import Features

PATTERN = "*.????????.arrow"
THERE = ("ok", "fell_back")  # with these a molecule has the view
KILLED = ("timed_out", "crashed")


class StoreError(MolfusionError):
    """The store on disk is damaged or cannot be written; the message says which file, and what to do."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What became of one molecule under one view."""

    key: bytes
    id: str
    smiles: str
    status: str  # ok | fell_back (it has the view, come by in a second way) | failed | timed_out | crashed
    reason: str  # of all but `ok`
    seconds: float  # of CPU time
    features: Features | None = None


LEDGER = {
    "key": pa.binary(16),
    "id": pa.string(),
    "smiles": pa.string(),
    "status": pa.string(),
    "reason": pa.string(),
    "seconds": pa.float32(),
}


class Shard(NamedTuple):
    """What is in the file, without a copy."""

    ledger: pa.Table
    there: NDArray[np.bool_]  # [n] which molecules have the view
    fields: dict[str, Field]


class Field:
    """One array field of a shard: flat values, offsets, and the shape of one item behind its first axis."""

    def __init__(self, column: pa.ChunkedArray, shape: tuple[int, ...]) -> None:
        lists = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
        self.values = lists.values.to_numpy(zero_copy_only=True)
        self.offsets = lists.offsets.to_numpy(zero_copy_only=True)
        self.shape = shape
        self.width = math.prod(shape)  # values of one row

    def row(self, i: int) -> NDArray[Any]:
        row: NDArray[Any] = self.values[self.offsets[i] : self.offsets[i + 1]].reshape(-1, *self.shape)
        return row

    def take(self, rows: NDArray[np.int64]) -> Ragged:
        starts = self.offsets[rows] // self.width
        lengths = self.offsets[rows + 1] // self.width - starts
        return Ragged(self.values.reshape(-1, *self.shape).take(spans(starts, lengths), axis=0), lengths)


def spans(starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """start, start + 1, … of each span, one behind the other."""
    ends = np.cumsum(lengths)
    found: NDArray[np.int64] = np.arange(ends[-1]) + np.repeat(starts - ends + lengths, lengths)
    return found


def write(folder: Path, entries: Sequence[Entry]) -> None:
    """One shard: there whole, or not at all.

    Raises:
        StoreError: it cannot be written.
    """
    sink = pa.BufferOutputStream()
    table = _to_table(entries)
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    content = sink.getvalue()
    with written(folder / f"{uuid.uuid4().hex[:12]}.{zlib.crc32(content):08x}.arrow") as temporary:
        temporary.write_bytes(content)


def read(path: Path, whole: bool = False) -> Shard:
    """Map the file; `whole`: read every byte of it, to see whether it is what was written.

    Raises:
        FileNotFoundError: it is not there.
        ValueError, OSError: it is damaged.
    """
    mapped = pa.memory_map(str(path))
    if whole and (found := f"{zlib.crc32(mapped.read_buffer()):08x}") != path.name.split(".")[-2]:
        raise ValueError(f"the checksum of its content is {found}")
    table = pa.ipc.open_file(mapped).read_all()
    shapes = json.loads((table.schema.metadata or {}).get(b"shapes", b"{}"))
    return Shard(
        ledger=table.select(list(LEDGER)),
        there=np.array([status in THERE for status in table["status"].to_pylist()]),
        fields={name: Field(table[f"array:{name}"], tuple(shape)) for name, shape in shapes.items()},
    )


def _to_table(entries: Sequence[Entry]) -> pa.Table:
    columns = {name: pa.array([getattr(e, name) for e in entries], type=kind) for name, kind in LEDGER.items()}
    shapes: dict[str, list[int]] = {}
    example = next((e.features for e in entries if e.features is not None), None)
    for name, array in (example or {}).items():
        shapes[name] = list(array.shape[1:])
        rows = [e.features[name].ravel() if e.features is not None else array[:0].ravel() for e in entries]
        offsets = np.concatenate([[0], np.cumsum([len(r) for r in rows])]).astype(np.int64)
        columns[f"array:{name}"] = pa.LargeListArray.from_arrays(offsets, np.concatenate(rows))
    return pa.table(columns).replace_schema_metadata({"shapes": json.dumps(shapes)})


@contextmanager
def written(path: Path) -> Iterator[Path]:
    """`paths.atomic`, with a full disk told in one line."""
    with _told(path), atomic(path) as temporary:
        yield temporary


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Nobody else writes in this folder meanwhile (where the system can tell); what a kill left half-written goes."""
    try:
        import fcntl
    except ImportError:  # Windows: two writers may then both write a molecule, and the first shard counts
        yield
        return
    with _told(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("w")
    with lock:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(lock, fcntl.LOCK_EX)
            for left in folder.glob(".*.tmp"):
                left.unlink(missing_ok=True)
        yield


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"{path} cannot be written ({error.strerror or error}): make room, or set MOLFUSION_CACHE to a folder "
            "elsewhere, and give the same command again; what was written before is kept"
        ) from error

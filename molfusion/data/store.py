"""The feature store: what a view computed for a molecule, once, for every run that asks.

One folder a view; in it shards, each an Arrow file with one row a molecule: its content key, how it went (`ok` or
the reason not), how long it took, and its arrays as flat values plus offsets. Shards are memory-mapped, written
beside and renamed, and never changed: a kill leaves the shards before it, and readers need no lock. A shard's name
ends in the CRC-32 of its bytes.
"""

from __future__ import annotations

import logging
from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from molfusion.batch import Ragged, Record
from molfusion.data import shards
from molfusion.data.shards import Entry as Entry
from molfusion.data.shards import StoreError as StoreError
from molfusion.views.base import Features, View, ViewError

_ROW_BITS = 32  # a place is shard << 32 | row


class ViewStore:
    """Reads and extends one view's shards.

    Args:
        root: folder of all views.
        view: whose.
        mend: read every shard whole, and set damaged ones aside, so that what they held can be computed again.

    Raises:
        StoreError: a shard cannot be read (and is not to be set aside).
    """

    def __init__(self, root: Path, view: View, mend: bool = False) -> None:
        self.view, self._root, self._mend = view, root, mend
        self.folder = root / view.name()
        self._rows: dict[bytes, tuple[int, int]] = {}  # key -> shard, row
        self._shards: list[shards.Shard] = []
        self._seen: dict[str, bool] = {}  # file names, and whether it is one of `_shards`
        self.refresh()

    def refresh(self) -> None:
        """Take in shards that appeared since the last look (other processes may be writing)."""
        self._take_in(sorted(path.name for path in self.folder.glob(shards.PATTERN)))

    def __getstate__(self) -> tuple[Any, ...]:
        return self._root, self.view, [name for name, held in self._seen.items() if held]

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """Another process maps the same files in the same order: places stay true."""
        self.view, self._root, self._mend = state[1], state[0], False
        self.folder = self._root / self.view.name()
        self._rows, self._shards, self._seen = {}, [], {}
        self._take_in(state[2])

    def _take_in(self, names: Iterable[str]) -> None:
        for name in names:
            if name not in self._seen:
                self._seen[name] = self._open(self.folder / name)

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
        if not self._shards[shard].there[row]:
            raise ViewError(": ".join(self.outcome(record)))
        return {name: field.row(row) for name, field in self._shards[shard].fields.items()}

    def outcome(self, record: Record) -> tuple[str, str]:
        """How it went for a molecule that was prepared, and the reason if not simply well."""
        shard, row = self._rows[self.view.key(record)]
        ledger = self._shards[shard].ledger
        return ledger["status"][row].as_py(), ledger["reason"][row].as_py()

    def settled(self, record: Record, retry: bool = False) -> bool:
        """Whether there is nothing left to compute of it; with `retry`, what killed its worker is not settled."""
        if record not in self:
            return False
        return not retry or self.has(record) or self.outcome(record)[0] not in shards.KILLED

    def places(self, records: Sequence[Record]) -> NDArray[np.int64]:
        """[n] where each molecule is, for `gather`; -1 for one that has no such view. They stay true as shards are added."""
        found = np.full(len(records), -1, dtype=np.int64)
        for i, record in enumerate(records):
            where = self._rows.get(self.view.key(record))
            if where is not None and self._shards[where[0]].there[where[1]]:
                found[i] = where[0] << _ROW_BITS | where[1]
        return found

    def gather(self, places: NDArray[np.int64]) -> dict[str, Ragged]:
        """The arrays of many molecules (at least one, none of them -1), read without a loop over them."""
        at, rows = places >> _ROW_BITS, places & ((1 << _ROW_BITS) - 1)
        return {name: self._gathered(name, at, rows) for name in self._shards[at[0]].fields}

    def _gathered(self, name: str, at: NDArray[np.int64], rows: NDArray[np.int64]) -> Ragged:
        distinct = np.unique(at)
        if len(distinct) == 1:
            only: Ragged = self._shards[distinct[0]].fields[name].take(rows)
            return only
        parts = [self._shards[shard].fields[name].take(rows[at == shard]) for shard in distinct]
        order = np.argsort(at, kind="stable")  # of the molecules as the parts have them
        lengths = np.concatenate([part.lengths for part in parts])
        flat, back = np.concatenate([part.flat for part in parts]), np.argsort(order)
        starts = np.cumsum(lengths) - lengths
        return Ragged(flat.take(shards.spans(starts[back], lengths[back]), axis=0), lengths[back])

    def has(self, record: Record) -> bool:
        """Whether the molecule was prepared and has this view."""
        where = self._rows.get(self.view.key(record))
        return where is not None and bool(self._shards[where[0]].there[where[1]])

    def ledger(self, every: bool = False) -> Iterator[Entry]:
        """How it went for each molecule (without its arrays); `every`: also for those with which it simply went well."""
        for shard, table in enumerate(s.ledger for s in self._shards):
            told = table if every else table.filter(pc.not_equal(table["status"], "ok"))
            for row in told.to_pylist():
                if self._rows[row["key"]][0] == shard:  # no later attempt took its place
                    yield Entry(**row)

    def failures(self) -> list[Entry]:
        """Every molecule that has no such view, and why."""
        return [entry for entry in self.ledger() if entry.status not in shards.THERE]

    def append(self, entries: Sequence[Entry]) -> None:
        """Write one shard, of what nobody has written meanwhile. It is there whole or not at all.

        Raises:
            StoreError: it cannot be written.
        """
        if not entries:
            return
        with shards.alone(self.folder):
            self.refresh()
            new = [e for e in entries if self._adds(e)]
            if new:
                shards.write(self.folder, new)
        self.refresh()

    def _adds(self, entry: Entry) -> bool:
        where = self._rows.get(entry.key)
        return where is None or (entry.status in shards.THERE and not self._shards[where[0]].there[where[1]])

    def _open(self, path: Path) -> bool:
        try:
            shard = shards.read(path, whole=self._mend)
        except FileNotFoundError:  # set aside by somebody else since
            return False
        except (ValueError, KeyError, OSError) as error:
            what = f"{path} is damaged ({error})"
            if not self._mend:
                raise StoreError(f"{what}: {self._remedy()}") from error
            with suppress(FileNotFoundError):
                path.rename(path.with_suffix(".damaged"))
            logging.getLogger(__name__).warning("%s: set aside; its molecules are computed again", what)
            return False
        self._shards.append(shard)
        for row, key in enumerate(shard.ledger["key"].to_pylist()):
            known = self._rows.get(key)
            if known is None or not self._shards[known[0]].there[known[1]]:
                self._rows[key] = (len(self._shards) - 1, row)
        return True

    def _remedy(self) -> str:
        if self.view.prepared:
            return "`molfusion prepare` sets it aside and computes only its molecules again"
        return "delete it and give the command that wrote it again; only its molecules are computed anew"


def ledger_table(stores: Iterable[ViewStore], keys: Container[bytes]) -> list[dict[str, Any]]:
    """What failed or fell back of some molecules under several views, as plain rows for a file."""
    return [
        {"view": repr(s.view), "id": e.id, "smiles": e.smiles, "status": e.status, "reason": e.reason, "seconds": e.seconds}
        for s in stores
        for e in s.ledger()
        if e.key in keys
    ]

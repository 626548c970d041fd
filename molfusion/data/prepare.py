"""Fill the store: every record under every stored view, each computed at most once."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from molfusion.batch import Record
from molfusion.cores import usable_cores
from molfusion.data.pool import Outcome, isolated
from molfusion.data.store import Entry, ViewStore
from molfusion.views.base import Fallback, Features, View, ViewError

_SHARD_ROWS = 2048
_SHARD_BYTES = 1 << 27
_SHARD_SECONDS = 20.0  # a kill loses at most this much work

Progress = Callable[[View, int, int], None]


@dataclass(frozen=True)
class Summary:
    """What one view's preparation did."""

    view: View
    computed: int
    present: int  # before, or by somebody else meanwhile
    outcomes: dict[str, int]
    seconds: float  # by the clock
    cpu_seconds: float  # of the molecules, all workers together


def prepare(
    records: Sequence[Record],
    views: Iterable[View],
    root: Path,
    workers: int | None = None,
    timeout: float = 300.0,
    progress: Progress | None = None,
    retry: bool = False,
) -> list[Summary]:
    """Compute what is missing. Killed at any moment, it goes on where the last shard ended; several may run at once.

    Molecules whose coordinates have to be made are embedded once for all views, and only where a view lacks them.

    Args:
        records: molecules; equal ones are computed once.
        views: those not stored, or filled by another command, are passed over.
        root: the store's folder.
        workers: processes; by default one a core that may be used.
        timeout: seconds of CPU time a single molecule may take before its worker is killed. What a molecule comes to
            does not depend on it: embedding is bounded by attempts.
        progress: called with (view, done, total).
        retry: compute anew what timed out or crashed before.

    Raises:
        StoreError: a shard cannot be written (a full disk); what was written before is kept.
    """
    lacking: dict[View, list[Record]] = {}
    present: dict[View, int] = {}
    for view in sorted(views, key=repr):
        if view.stored and view.prepared:
            lacking[view], present[view] = _lacking(records, view, root, retry)
    embedded: dict[View, list[Record]] = {}
    for view, wanting in lacking.items():
        for record in wanting:
            if (embedding := view.embedding(record)) is not None:
                embedded.setdefault(embedding, []).append(record)
    for view in sorted(embedded, key=repr):
        lacking[view], present[view] = _lacking(embedded[view] + lacking.get(view, []), view, root, retry)
    first = [*sorted(embedded, key=repr), *(v for v in lacking if v not in embedded)]
    job = _Job(root, workers or usable_cores(), timeout, progress, retry)
    return [job.run(view, lacking[view], present[view]) for view in first]


def _lacking(records: Sequence[Record], view: View, root: Path, retry: bool) -> tuple[list[Record], int]:
    """The distinct molecules that the store does not have, and how many it has."""
    store = ViewStore(root, view, mend=True)
    distinct = {view.key(r): r for r in records}
    lacking = [r for r in distinct.values() if not store.settled(r, retry)]
    return lacking, len(distinct) - len(lacking)


@dataclass(frozen=True)
class _Job:
    root: Path
    workers: int
    timeout: float
    progress: Progress | None
    retry: bool

    def run(self, view: View, lacking: list[Record], present: int) -> Summary:
        start = time.monotonic()
        if not lacking:
            return Summary(view, 0, present, {}, 0.0, 0.0)
        # Big molecules come in runs (files are sorted); a shuffled queue keeps all workers busy to the end, and two
        # processes that prepare the same out of each other's way.
        random.Random(os.getpid()).shuffle(lacking)
        writer = _Writer(ViewStore(self.root, view))
        outcomes: Counter[str] = Counter()
        cpu = 0.0
        function = _Featuriser(view, {e: ViewStore(self.root, e) for e in {view.embedding(r) for r in lacking} if e})
        found = isolated(
            function, lacking, self.workers, self.timeout, view.together,
            wanted=lambda i: not writer.store.settled(lacking[i], self.retry),
        )  # fmt: skip
        try:
            for done, outcome in enumerate(found, 1):
                if outcome.status != "unwanted":
                    entry = self._entry(view, lacking[outcome.index], outcome)
                    outcomes[entry.status] += 1
                    cpu += entry.seconds
                    writer.add(entry)
                if self.progress:
                    self.progress(view, done, len(lacking))
        except KeyboardInterrupt:
            writer.flush()
            raise
        finally:
            found.close()
        writer.flush()
        computed = sum(outcomes.values())
        present += len(lacking) - computed
        return Summary(view, computed, present, dict(outcomes), time.monotonic() - start, cpu)

    def _entry(self, view: View, record: Record, outcome: Outcome) -> Entry:
        status, reason, features = outcome.status, "its worker process died", None
        if status == "raised":
            status, reason = "failed", str(outcome.value)
        elif status == "timed_out":
            reason = f"took longer than {self.timeout:g} s"
        elif status == "done":
            status, reason, features = outcome.value
        return Entry(view.key(record), record.id, record.smiles, status, reason, outcome.seconds, features)


class _Writer:
    """Entries into shards: not too large, not too late, and at once where a molecule killed its worker."""

    def __init__(self, store: ViewStore) -> None:
        self.store = store
        self.entries: list[Entry] = []
        self.bytes, self.since = 0, time.monotonic()

    def add(self, entry: Entry) -> None:
        self.entries.append(entry)
        self.bytes += sum(a.nbytes for a in (entry.features or {}).values())
        late = time.monotonic() - self.since > _SHARD_SECONDS
        full = len(self.entries) >= _SHARD_ROWS or self.bytes > _SHARD_BYTES
        if late or full or entry.status in ("timed_out", "crashed"):
            self.flush()

    def flush(self) -> None:
        entries, self.entries = self.entries, []
        self.bytes, self.since = 0, time.monotonic()
        self.store.append(entries)


class _Featuriser:
    """The view's `featurise` of some molecules, as (status, reason, features) of each."""

    def __init__(self, view: View, embedded: dict[View, ViewStore]) -> None:
        self.view, self.embedded = view, embedded

    def __call__(self, records: Sequence[Record]) -> list[tuple[str, str, Features | None]]:
        lent = [self._lent(r) for r in records]
        try:
            found = self.view.featurise_many(records, [features for features, _ in lent])
        except Exception as error:  # a defect of ours must not lose the molecule: it stands in the ledger
            if len(records) > 1:
                return [self([r])[0] for r in records]
            return [("failed", f"{type(error).__name__}: {error}", None)]
        return [_told(features, *what) for features, what in zip(found, lent, strict=True)]

    def _lent(self, record: Record) -> tuple[Features | ViewError | None, str]:
        """What the view that embeds made of this molecule, and how that went."""
        embedding = self.view.embedding(record)
        if embedding is None:
            return None, "ok"
        store = self.embedded[embedding]
        status, reason = store.outcome(record)
        if not store.has(record):
            return ViewError(reason), status
        features = store.get(record)
        return Fallback(features, reason) if reason else features, status


def _told(found: Features | ViewError, lent: Features | ViewError | None, how: str) -> tuple[str, str, Features | None]:
    """A view's answer, and what it owes to the coordinates it was lent."""
    if isinstance(found, ViewError):
        return (how if isinstance(lent, ViewError) else "failed"), str(found), None
    if isinstance(lent, ViewError):
        return "fell_back", f"without coordinates: {lent}", found
    for told in (found, lent):
        if isinstance(told, Fallback):
            return "fell_back", told.reason, dict(found)
    return "ok", "", found

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
from molfusion.data.pool import Outcome, isolated
from molfusion.data.store import Entry, ViewStore
from molfusion.views.base import View, ViewError

_SHARD_ROWS = 2048
_SHARD_SECONDS = 20.0  # a kill loses at most this much work


@dataclass(frozen=True)
class Summary:
    """What one view's preparation did."""

    view: View
    computed: int
    present: int
    outcomes: dict[str, int]
    seconds: float


def prepare(
    records: Sequence[Record],
    views: Iterable[View],
    root: Path,
    workers: int | None = None,
    timeout: float = 60.0,
    progress: Callable[[View, int, int], None] | None = None,
) -> list[Summary]:
    """Compute what is missing. Killed at any moment, it goes on where the last shard ended.

    Args:
        records: molecules; equal ones are computed once.
        views: those not stored, or filled by another command, are passed over.
        root: the store's folder.
        workers: processes; by default one a core.
        timeout: seconds a single molecule may take before its worker is killed.
        progress: called with (view, done, total).
    """
    return [
        _prepare_view(records, view, root, workers or os.cpu_count() or 1, timeout, progress)
        for view in sorted(views, key=repr)
        if view.stored and view.prepared
    ]


def _prepare_view(
    records: Sequence[Record],
    view: View,
    root: Path,
    workers: int,
    timeout: float,
    progress: Callable[[View, int, int], None] | None,
) -> Summary:
    start = time.monotonic()
    store = ViewStore(root, view)
    distinct = {view.key(r): r for r in records}
    missing = [r for r in distinct.values() if r not in store]
    # Big molecules come in runs (files are sorted); a shuffled queue keeps all workers busy to the end.
    random.Random(0).shuffle(missing)
    outcomes: Counter[str] = Counter()
    buffer: list[Entry] = []
    written = time.monotonic()
    for done, outcome in enumerate(isolated(_Featuriser(view), missing, workers, timeout) if missing else (), 1):
        entry = _entry(view, missing[outcome.index], outcome, timeout)
        outcomes[entry.status] += 1
        buffer.append(entry)
        if len(buffer) >= _SHARD_ROWS or time.monotonic() - written > _SHARD_SECONDS or outcome.status != "done":
            store.append(buffer)
            buffer, written = [], time.monotonic()
        if progress:
            progress(view, done, len(missing))
    store.append(buffer)
    return Summary(view, len(missing), len(distinct) - len(missing), dict(outcomes), time.monotonic() - start)


class _Featuriser:
    """The view's `featurise` as a function that returns what it raises."""

    def __init__(self, view: View) -> None:
        self.view = view

    def __call__(self, record: Record) -> tuple[str, object]:
        try:
            return "ok", dict(self.view.featurise(record))
        except ViewError as error:
            return "failed", str(error)
        except Exception as error:  # a defect of ours must not lose the molecule: it stands in the ledger
            return "failed", f"{type(error).__name__}: {error}"


def _entry(view: View, record: Record, outcome: Outcome, timeout: float) -> Entry:
    key, seconds = view.key(record), outcome.seconds
    if outcome.status == "timed_out":
        reason = f"took longer than {timeout:g} s"
        return Entry(key, record.id, record.smiles, "timed_out", reason, seconds)
    if outcome.status == "crashed":
        return Entry(key, record.id, record.smiles, "crashed", "its worker process died", seconds)
    status, value = outcome.value
    if status == "ok":
        return Entry(key, record.id, record.smiles, "ok", "", seconds, value)
    return Entry(key, record.id, record.smiles, "failed", value, seconds)

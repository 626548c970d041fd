"""What filling the store costs: every view of a card's molecules, what the ledger says, and a second run over it.

    python -m benchmarks prepare                                          # 200 molecules that ship with molfusion
    python -m benchmarks.prepare --card realtext --root FOLDER            # a whole card, cold, then warm
    python -m benchmarks.prepare --card realtext --root FOLDER --store KEPT --workers 2

Cold means an empty store, warm that all is there. CPU time is that of the molecules, summed over the workers; what the
clock says beyond it is the parent's and, on a busy machine, everybody else's.
"""

from __future__ import annotations

import argparse
import re
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks import molecules
from benchmarks.table import Row, Table, machine
from molfusion.batch import Record
from molfusion.commands.prepare import lines
from molfusion.data.card import load_card
from molfusion.data.prepare import Summary, prepare
from molfusion.data.records import load_records
from molfusion.data.store import ViewStore
from molfusion.views import (
    ConformerView,
    E3FPView,
    FingerprintView,
    GraphView,
    ImageView,
    RelationsView,
    SelfiesView,
    View,
)  # fmt: skip

VIEWS: list[View] = [
    ConformerView(), E3FPView(), FingerprintView(), GraphView(), ImageView(), RelationsView(), SelfiesView(),
]  # fmt: skip


def table(quick: bool) -> Table:
    """CPU ms a molecule and view, one worker, of molecules whose coordinates have to be embedded."""
    records = [replace(r, geometry=None) for r in molecules.demo(50 if quick else 200)]
    with tempfile.TemporaryDirectory() as folder:
        summaries = prepare(records, VIEWS, Path(folder), workers=1)
        rows = [Row(type(s.view).__name__, _milliseconds(Path(folder), s)) for s in summaries]
        start = time.perf_counter()
        prepare(records, VIEWS, Path(folder), workers=1)
        rows.append(Row("a second run over all of it, by the clock", [(time.perf_counter() - start) * 1e3]))
    sizes = [molecules.parse(r.smiles).GetNumAtoms() for r in records]
    about = f"{len(records)} molecules of the demo set without their coordinates, {min(sizes)} to {max(sizes)} heavy atoms"
    return Table(about, rows, "E3FP is computed in groups and reads the embedding; so does ConformerView.")


def _milliseconds(root: Path, summary: Summary) -> list[float]:
    return [1e3 * e.seconds for e in ViewStore(root, summary.view).ledger(every=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--card", default="demo")
    parser.add_argument("--root", help="folder that the card's relative paths start from")
    parser.add_argument("--workers", type=int, help="processes; by default one a core")
    parser.add_argument("--store", type=Path, help="folder of the store; by default one that is thrown away")
    parser.add_argument("--limit", type=int, help="only so many molecules")
    arguments = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        store = arguments.store or Path(folder)
        start = time.perf_counter()
        loaded = load_records(load_card(arguments.card, arguments.root), store)
        records = loaded.records[: arguments.limit]
        spent = time.perf_counter() - start
        rows = f"{len(records)} records, {len(loaded.dropped)} rows dropped"
        print(f"card {arguments.card}: {rows}, read in {spent:.1f} s", flush=True)
        cold = run(records, store, arguments.workers)
        report(records, store, cold)
        start = time.perf_counter()
        load_records(load_card(arguments.card, arguments.root), store)
        spent = time.perf_counter() - start
        warm = run(records, store, arguments.workers)
        computed = sum(s.computed for s in warm[0])
        print(f"warm: card read in {spent:.2f} s, {len(VIEWS)} views looked over in {warm[1]:.2f} s, {computed} computed")


def run(records: Sequence[Record], root: Path, workers: int | None) -> tuple[list[Summary], float]:
    start = time.perf_counter()
    return prepare(records, VIEWS, root / "store", workers, progress=lines(30.0)), time.perf_counter() - start


def report(records: Sequence[Record], root: Path, cold: tuple[list[Summary], float]) -> None:
    """The table, and how often each thing went wrong."""
    summaries, spent = cold
    print(f"{'view':16} {'computed':>8} {'present':>8} {'clock s':>8} {'mol./s':>8} {'CPU s':>8} "
          f"{'ms':>7} {'p95':>7} {'max':>8}  outcomes")  # fmt: skip
    for s in summaries:
        ms = np.array(_milliseconds(root / "store", s) or [0.0])
        told = ", ".join(f"{n} {what}" for what, n in sorted(s.outcomes.items()))
        cells = f"{s.seconds:8.1f} {s.computed / max(s.seconds, 1e-9):8.1f} {s.cpu_seconds:8.1f}"
        middle = f"{np.median(ms):7.2f} {np.percentile(ms, 95):7.2f} {ms.max():8.0f}"
        print(f"{type(s.view).__name__:16} {s.computed:8} {s.present:8} {cells} {middle}  {told}")
    cpu = sum(s.cpu_seconds for s in summaries)
    size = sum(p.stat().st_size for p in (root / "store").rglob("*.arrow"))
    print(f"{'all':16} {'':8} {'':8} {spent:8.1f} {len(records) / spent:8.1f} {cpu:8.1f}  {size / 1e6:.0f} MB on disk")
    keys = {EMBEDDING.key(r) for r in records}
    for s in summaries:
        odd = [e for e in ViewStore(root / "store", s.view).ledger() if e.key in keys]
        for (status, reason), count in Counter((e.status, _short(e.reason)) for e in odd).most_common(6):
            print(f"  {type(s.view).__name__}: {count} {status}: {reason}")


EMBEDDING = GraphView()  # its key is that of any view of a record without coordinates


def _short(reason: str) -> str:
    """Without the molecule's own numbers, so that alike reasons count as one."""
    return re.sub(r"\d+", "#", reason.partition(": not among")[0])[:90]


if __name__ == "__main__":
    main()

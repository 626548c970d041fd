"""Featurise a card for a config."""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections import Counter
from collections.abc import Callable, Container
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from molfusion.commands.run import composed
from molfusion.data.datamodule import MoleculeData
from molfusion.data.prepare import Summary
from molfusion.data.store import ViewStore, ledger_table
from molfusion.paths import atomic
from molfusion.views.base import View

_LINE_SECONDS = 10.0  # between two lines on a pipe


def main(arguments: argparse.Namespace) -> int:
    config = composed(arguments)
    from molfusion.build import build

    data = build(config, Path("runs"), (), arguments.allow_import).data
    data.retry = arguments.retry
    fill(data)
    data.setup()
    stores = {summary.view: ViewStore(data.cache / "store", summary.view) for summary in data.summaries}
    known = {store.view.key(r) for store in stores.values() for r in data.load().records}
    for summary in data.summaries:
        tell(summary, stores[summary.view], known)
    reasons = Counter(d.reason for d in data.dropped)
    kept = {split: len(records) for split, records in data.records.items()}
    print(f"card {data.card.name}: {kept}, {len(data.dropped)} left out")
    for reason, count in reasons.most_common(10):
        print(f"  {count} × {reason}")
    if arguments.ledger:
        rows = ledger_table(stores.values(), known)
        with atomic(Path(arguments.ledger)) as path, path.open("w", newline="") as file:
            writer = csv.DictWriter(file, ["view", "id", "smiles", "status", "reason", "seconds"])
            writer.writeheader()
            writer.writerows(rows)
        print(f"{len(rows)} rows in {arguments.ledger}")
    return 0


def tell(summary: Summary, store: ViewStore, keys: Container[bytes]) -> None:
    """One line, and one for each way of going wrong: how often, and the molecule it took longest with.

    Args:
        summary: of one view.
        store: the view's.
        keys: of the card's molecules; the store may have others.
    """
    outcomes = ", ".join(f"{n} {what}" for what, n in sorted(summary.outcomes.items())) or "nothing to do"
    rate = f", {summary.computed / summary.seconds:.0f} molecules/s" if summary.computed else ""
    print(f"{summary.view!r}: {summary.present} present, {outcomes}, {summary.seconds:.1f} s{rate}")
    odd = sorted((e for e in store.ledger() if e.key in keys), key=lambda e: e.seconds)
    worst = {e.status: e for e in odd}
    for status, count in Counter(e.status for e in odd).items():
        e = worst[status]
        print(f"  {count} {status} in all, such as {e.id} ({e.seconds:.1f} s): {e.reason}  {e.smiles[:80]}")


def fill(data: MoleculeData) -> None:
    """`prepare_data` with a bar a view; on a pipe a line now and then."""
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=Console(), disable=not sys.stdout.isatty()) as progress:
        tasks = {}

        def show(view: View, done: int, total: int) -> None:
            if view not in tasks:
                tasks[view] = progress.add_task(type(view).__name__, total=total)
            progress.update(tasks[view], completed=done)

        data.on_progress = show if sys.stdout.isatty() else lines()
        data.prepare_data()
        data.on_progress = None


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.1f} molecules/s" if task.speed else "")


def lines(every: float = _LINE_SECONDS) -> Callable[[View, int, int], None]:
    """A progress that prints how far it is, how fast and how long it will take."""
    start: dict[View, float] = {}
    told = time.monotonic()

    def show(view: View, done: int, total: int) -> None:
        nonlocal told
        now = time.monotonic()
        begun = start.setdefault(view, now)
        if now - told < every or done == total:
            return
        told = now
        rate = done / max(now - begun, 1e-9)
        left = (total - done) / rate
        print(f"{type(view).__name__}: {done}/{total}, {rate:.1f} molecules/s, {left:.0f} s left", flush=True)

    return show

"""Featurise a card for a config."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from molfusion.commands.run import composed
from molfusion.data.datamodule import MoleculeData
from molfusion.data.store import ViewStore
from molfusion.views.base import View


def main(arguments: argparse.Namespace) -> int:
    config = composed(arguments)
    from molfusion.build import build

    data = build(config, Path("runs"), (), arguments.allow_import).data
    fill(data)
    data.setup()
    for summary in data.summaries:
        outcomes = ", ".join(f"{n} {what}" for what, n in summary.outcomes.items()) or "nothing to do"
        print(f"{summary.view!r}: {summary.present} present, {outcomes}, {summary.seconds:.1f} s")
        for entry in ViewStore(data.cache / "store", summary.view).failures()[:10]:
            print(f"  {entry.id} {entry.status} ({entry.seconds:.1f} s): {entry.reason}  {entry.smiles}")
    reasons = Counter(d.reason for d in data.dropped)
    kept = {split: len(records) for split, records in data.records.items()}
    print(f"card {data.card.name}: {kept}, {len(data.dropped)} left out")
    for reason, count in reasons.most_common(10):
        print(f"  {count} × {reason}")
    return 0


def fill(data: MoleculeData) -> None:
    """`prepare_data` with a bar a view (lines on a pipe)."""
    console = Console()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not sys.stdout.isatty()) as progress:
        tasks = {}

        def show(view: View, done: int, total: int) -> None:
            if view not in tasks:
                tasks[view] = progress.add_task(type(view).__name__, total=total)
            progress.update(tasks[view], completed=done)

        data.on_progress = show
        data.prepare_data()
        data.on_progress = None

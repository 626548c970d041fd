"""Run a sweep and write its report."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from molfusion.config import ConfigError
from molfusion.cores import usable_cores
from molfusion.paths import atomic
from molfusion.sweep.plan import Cell, Plan, plan
from molfusion.sweep.spec import find


def main(arguments: argparse.Namespace) -> int:
    started = time.monotonic()
    file = find(arguments.file)
    out = Path(arguments.out or "runs" / _under_sweeps(file))
    if arguments.jobs is not None and arguments.jobs < 1:
        raise ConfigError(f"command line: --jobs {arguments.jobs}: expected at least 1")
    made = plan(file, out, arguments.overrides, _only(arguments.only))
    if arguments.plan:
        from molfusion.sweep.lacking import told_by_cards

        told = told_by_cards(made.cells)
        for cell in made.cells:
            print(f"{cell.key}  ->  {f'n/a: {told[cell.key]}' if cell.key in told else cell.folder}")
        return 0
    print(f"{made.title}\n{len(made.cells)} runs; checking every row before the first …", flush=True)
    import torch

    torch.set_num_threads(1)
    from molfusion.sweep.engine import check, execute

    _check_baselines(made, file)
    states = check(made.cells, arguments.allow_import)
    refused = Counter(s.reason for s in states.values() if s.status == "n/a" and not s.reason.startswith("needs "))
    for reason, count in refused.items():
        print(f"  {count} cannot be asked: {reason}", flush=True)
    _write_plan(made, states, out, file, arguments)
    _prepare([c for c in made.cells if states[c.key].status == "waiting"], arguments.allow_import)
    jobs = arguments.jobs or torch.cuda.device_count() or usable_cores()
    with _Board(len(made.cells)) as board:
        execute(made.cells, states, jobs, board.watch, arguments.allow_import, arguments.retry)
    _write_plan(made, states, out, file, arguments)
    _baselines(made, states, out, jobs, arguments.allow_import)
    from molfusion.report.page import write

    page = write(out)
    done = sum(s.status == "done" for s in states.values())
    print(f"\n{done} of {len(made.cells)} runs done in {(time.monotonic() - started) / 60:.1f} min")
    for cell in made.cells:
        if states[cell.key].status in {"failed", "n/a"}:
            print(f"  {states[cell.key].status}: {cell.key}: {states[cell.key].reason}")
    print(f"report: {page}\n        {page.with_suffix('.md')}")
    return 1 if any(s.status == "failed" for s in states.values()) else 0


def _under_sweeps(file: Path) -> Path:
    """`…/sweeps/deepmolm/stages.yaml` as `deepmolm/stages`, since there are other stages; elsewhere the file's own name."""
    above = file.resolve().with_suffix("").parts
    last = max((i for i, part in enumerate(above[:-1]) if part == "sweeps"), default=len(above) - 2)
    return Path(*above[last + 1 :])


def _only(pairs: list[str]) -> dict[str, set[str]]:
    out: dict[str, set[str]] = {}
    for pair in pairs:
        key, _, value = pair.partition("=")
        if key not in {"table", "row", "seed"} or not value:
            raise ConfigError(f"command line: --only {pair!r}: expected table=…, row=… or seed=…")
        out.setdefault(key, set()).add(value)
    return out


def _prepare(cells: list[Cell], allowed: list[str]) -> None:
    """Featurise once for all, with a bar, before many processes ask for the same."""
    from molfusion.build import build

    seen: set[str] = set()
    for cell in cells:
        key = json.dumps([cell.config.tree.get("data"), _classes(cell.config.tree.get("model"))], sort_keys=True)
        if key in seen:
            continue
        seen.add(key)
        from molfusion.commands.prepare import fill
        from molfusion.sweep.engine import unrestored

        fill(build(unrestored(cell), cell.folder, (), allowed).data)


def _classes(tree: Any) -> list[str]:
    """The classes in a config: what its views depend on, near enough to skip repeats."""
    if isinstance(tree, dict):
        own = [str(tree["class_path"])] if "class_path" in tree else []
        return sorted(own + [c for v in tree.values() for c in _classes(v)])
    return [c for v in tree for c in _classes(v)] if isinstance(tree, list) else []


def _check_baselines(made: Plan, file: Path) -> None:
    """A baseline that does not exist is found before anything runs."""
    from molfusion.baselines import baseline

    for table in made.tables:
        cell = next(c for c in made.cells if c.table == table.name)
        for name in table.baselines:
            try:
                baseline(str((cell.config.tree.get("model") or {}).get("class_path")).rpartition(".")[2], name)
            except ConfigError as error:
                raise ConfigError(f"{file}: tables.{table.name}.baselines: {error}") from error


def _baselines(made: Plan, states: dict[str, Any], out: Path, jobs: int, allowed: list[str]) -> None:
    """On the data of each table's first row that can be built."""
    from molfusion.sweep.baselines import Asked, run_all

    asked = []
    for table in made.tables:
        cells = [c for c in made.cells if c.table == table.name]
        cell = next((c for c in cells if states[c.key].status != "n/a"), cells[0])
        asked += [Asked(cell, name, out / table.name / f"baseline-{name}", allowed) for name in table.baselines]
    if asked:
        from rich.progress import track

        ended = run_all(asked, min(jobs, usable_cores()))
        for _ in track(ended, "baselines", total=len(asked), disable=not Console().is_terminal, transient=True):
            pass


def _write_plan(made: Plan, states: dict[str, Any], out: Path, file: Path, arguments: argparse.Namespace) -> None:
    """plan.json: what a report needs to know of the runs beside it."""
    command = " ".join(["molfusion", *map(shlex.quote, sys.argv[1:])])
    record = {
        "title": made.title, "about": made.about, "file": str(file), "command": command, "seeds": made.seeds,
        "tables": [
            {"name": t.name, "about": t.about, "headline": t.headline, "baselines": t.baselines} for t in made.tables
        ],
        "cells": [
            {
                "key": c.key, "table": c.table, "row": c.row, "seed": c.seed,
                "folder": str(c.folder.relative_to(out)), "needs": [n.key for n in c.needs.values()],
                "trained": c.trained is None,
                "parts": list(c.parts), "control": c.control,
                "status": states[c.key].status, "reason": states[c.key].reason,
            }
            for c in made.cells
        ],
    }  # fmt: skip
    with atomic(out / "plan.json") as path:
        path.write_text(json.dumps(record, indent=1, ensure_ascii=False))
    with atomic(out / "sweep.yaml") as path:
        path.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()), sort_keys=False, allow_unicode=True))


class _Board:
    """A bar for the whole and one for each run in work; on a pipe, a line for each run that ends."""

    def __init__(self, total: int) -> None:
        self.console = Console()
        self.live = self.console.is_terminal
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self.progress = Progress(*columns, console=self.console, disable=not self.live)
        self.whole = self.progress.add_task("[bold]all runs", total=total)
        self.tasks: dict[str, Any] = {}
        self.ended: set[str] = set()
        self.total = total

    def __enter__(self) -> _Board:
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def watch(self, cell: Cell, state: Any) -> None:
        if state.status == "running":
            if cell.key not in self.tasks:
                self.tasks[cell.key] = self.progress.add_task(cell.key, total=None)
            self.progress.update(self.tasks[cell.key], completed=state.step, total=state.steps or None)
        elif state.status in {"done", "failed", "n/a"} and cell.key not in self.ended:
            self.ended.add(cell.key)
            if cell.key in self.tasks:
                self.progress.remove_task(self.tasks.pop(cell.key))
            self.progress.update(self.whole, completed=len(self.ended))
            if not self.live:
                reason = f": {state.reason}" if state.reason else ""
                print(f"[{len(self.ended)}/{self.total}] {cell.key} {state.status}{reason}", flush=True)

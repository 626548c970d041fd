"""Run the cells of a plan: each a process of its own, forked from this one that has the imports already.

What is finished is not run again; a cell that fails is set aside with its reason and the rest goes on; killed and
started again, every unfinished run continues from its last checkpoint.
"""

from __future__ import annotations

import ctypes
import multiprocessing as mp
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Literal, cast

import lightning as L
import torch

from molfusion.build import build
from molfusion.cores import usable_cores
from molfusion.encoders.base import NotApplicable
from molfusion.errors import MolfusionError
from molfusion.reliance import RESULT, reliance
from molfusion.runner import Run, best_of
from molfusion.sweep.lacking import lacks
from molfusion.sweep.plan import Cell, resolved
from molfusion.tasks.schedule import planned_steps

Status = Literal["waiting", "running", "done", "failed", "n/a"]


@dataclass
class State:
    """How a cell stands."""

    status: Status = "waiting"
    reason: str = ""
    step: int = 0
    steps: int = 0


Watch = Callable[[Cell, State], None]


def check(cells: Sequence[Cell], allowed: Sequence[str]) -> dict[str, State]:
    """Build every distinct row once, before anything runs.

    Returns:
        The state of each cell by key; `n/a` with the reason where the task refuses the encoder, or the card has not what the
        task needs.

    Raises:
        ConfigError: a config is wrong; nothing has run yet.
    """
    states: dict[str, State] = {}
    refused: dict[tuple[str, str], str] = {}
    seen: set[tuple[str, str]] = set()
    for cell in cells:
        row = (cell.table, cell.row)
        if row not in seen:
            seen.add(row)
            try:
                built = build(unrestored(cell), cell.folder, (), allowed)
                if not finished(cell) and (why := lacks(built.task.needs, type(built.task), built.data)):
                    refused[row] = why
            except NotApplicable as error:
                refused[row] = str(error)
        reason = refused.get(row, "")
        if not reason and (refusing := [n for n in cell.needs.values() if states[n.key].status == "n/a"]):
            reason = f"needs {refusing[0].row}, which is n/a"
        states[cell.key] = State("n/a", reason) if reason else State()
        if finished(cell):
            states[cell.key] = State("done")
    return states


def execute(
    cells: Sequence[Cell],
    states: dict[str, State],
    jobs: int,
    watch: Watch,
    allowed: Sequence[str] = (),
    retry: bool = False,
) -> None:
    """Run all that is not done, `jobs` at a time, what is needed first."""
    for cell in cells:
        state = states[cell.key]
        if state.status == "waiting" and not retry and (cell.folder / "error.txt").is_file():
            states[cell.key] = State("failed", _first_line(cell.folder / "error.txt"))
        watch(cell, states[cell.key])
    running: dict[Connection, tuple[Cell, Any, int]] = {}
    slots = list(range(jobs))
    try:
        while True:
            _settle(cells, states, watch)
            for cell in cells:
                ready = states[cell.key].status == "waiting" and all(
                    states[needed.key].status == "done" for needed in cell.needs.values()
                )
                if ready and slots:
                    slot = slots.pop(0)
                    pipe, process = _start(cell, slot, jobs, allowed)
                    running[pipe] = (cell, process, slot)
                    states[cell.key].status = "running"
                    watch(cell, states[cell.key])
            if not running:
                return
            for pipe in cast(list[Connection], wait(list(running), timeout=1.0)):
                cell, process, slot = running[pipe]
                if _receive(pipe, process, cell, states[cell.key]):
                    del running[pipe]
                    slots.append(slot)
                watch(cell, states[cell.key])
    finally:
        for _, process, _ in running.values():
            process.kill()


def _settle(cells: Sequence[Cell], states: dict[str, State], watch: Watch) -> None:
    """A cell whose need cannot be met is not run."""
    for cell in cells:
        for needed in cell.needs.values():
            need = states[needed.key]
            if states[cell.key].status == "waiting" and need.status in {"failed", "n/a"}:
                became = "failed" if need.status == "failed" else "is n/a"
                states[cell.key] = State("n/a", f"needs {needed.row}, which {became}: {need.reason}")
                watch(cell, states[cell.key])


def _start(cell: Cell, slot: int, jobs: int, allowed: Sequence[str]) -> tuple[Connection, Any]:
    context: Any = mp.get_context("fork" if "fork" in mp.get_all_start_methods() else "spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(theirs, cell, slot, jobs, tuple(allowed)))
    process.start()
    theirs.close()
    return ours, process


def _receive(pipe: Connection, process: Any, cell: Cell, state: State) -> bool:
    """Take in what a child says; whether it has ended."""
    with suppress(EOFError):
        while pipe.poll():
            kind, *rest = pipe.recv()
            if kind == "step":
                state.step, state.steps = rest
            else:
                state.status, state.reason = kind, rest[0]
    if state.status == "running" and process.is_alive():
        return False
    process.join()
    if state.status == "running":
        state.status, state.reason = "failed", f"its process ended with code {process.exitcode}"
    return True


def _child(pipe: Connection, cell: Cell, slot: int, jobs: int, allowed: tuple[str, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    _die_with_parent()
    cell.folder.mkdir(parents=True, exist_ok=True)
    log = (cell.folder / "output.txt").open("a", buffering=1)
    os.dup2(log.fileno(), 1)
    os.dup2(log.fileno(), 2)
    sys.stdout = sys.stderr = log
    if count := torch.cuda.device_count():
        devices = (os.environ.get("CUDA_VISIBLE_DEVICES") or ",".join(map(str, range(count)))).split(",")
        os.environ["CUDA_VISIBLE_DEVICES"] = devices[slot % count]
    torch.set_num_threads(max(1, usable_cores() // jobs))
    error = cell.folder / "error.txt"
    error.unlink(missing_ok=True)
    try:
        run = Run(resolved(cell), cell.folder, [Steps(pipe)], allowed)
        if cell.trained is None:
            run.fit()
        else:
            run.ask(cell.trained.folder)
        if cell.reliance:
            reliance(run, cell.reliance, str(best_of(cell.trained.folder if cell.trained else cell.folder)))
    except NotApplicable as reason:
        pipe.send(("n/a", str(reason)))
    except BaseException as reason:
        line = str(reason) if isinstance(reason, MolfusionError) else f"{type(reason).__name__}: {reason}"
        error.write_text(f"{' '.join(line.split())}\n\n{traceback.format_exc()}")
        pipe.send(("failed", " ".join(line.split())))
    else:
        pipe.send(("done", ""))
    finally:
        pipe.close()


class Steps(L.Callback):
    """Tells the parent how far the training is."""

    def __init__(self, pipe: Connection) -> None:
        self.pipe = pipe
        self.steps = 0

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self.steps = planned_steps(trainer)

    def on_train_batch_end(self, trainer: L.Trainer, *args: Any) -> None:
        if trainer.global_step % 10 == 0:
            self.pipe.send(("step", trainer.global_step, self.steps))


def _die_with_parent() -> None:
    """On Linux a child does not outlive a killed parent."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        parent = mp.parent_process()
        if parent is not None and os.getppid() != parent.pid:  # it was killed before we had asked
            os._exit(1)


def finished(cell: Cell) -> bool:
    """Whether all that is asked of the cell is on disk."""
    asked = ["metrics.json", RESULT] if cell.reliance else ["metrics.json"]
    return all((cell.folder / name).is_file() for name in asked)


def unrestored(cell: Cell) -> Any:
    """The cell's config as if nothing were restored: what it needs has not run yet."""
    from molfusion.config import Composed
    from molfusion.describe import without_restored

    return Composed(without_restored(cell.config.tree), cell.config.origin)


def _first_line(path: Path) -> str:
    return path.read_text().splitlines()[0]

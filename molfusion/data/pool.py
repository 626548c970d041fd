"""Worker processes that may hang or die: RDKit is C++, and some molecules break it.

Each worker runs one item at a time and is watched from outside. One that exceeds the time limit is killed, one
that dies is replaced, and the item that did it is reported once and not tried again.
"""

from __future__ import annotations

import multiprocessing as mp
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

_CHUNK = 16  # items handed over at a time; small, so that an early end and a slow item cost little


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of item number `index`."""

    index: int
    status: str  # done | timed_out | crashed
    value: Any
    seconds: float


class _Worker:
    def __init__(self, function: Callable[[Any], Any], items: Sequence[Any]) -> None:
        context: Any = mp.get_context("fork" if "fork" in mp.get_all_start_methods() else "spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, function, items), daemon=True)
        self.process.start()
        theirs.close()
        self.chunk: deque[int] = deque()  # handed over and not yet reported; the first is in work
        self.since = time.monotonic()

    def give(self, indices: list[int]) -> None:
        self.chunk = deque(indices)
        self.since = time.monotonic()
        with suppress(BrokenPipeError):  # it died while idle: its sentinel tells
            self.pipe.send(indices)

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.pipe.close()


def _serve(pipe: Connection, function: Callable[[Any], Any], items: Sequence[Any]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    parent = os.getppid()
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            while not pipe.poll(1.0):
                if os.getppid() != parent:  # the parent was killed: do not linger
                    return
            for index in pipe.recv():
                start = time.perf_counter()
                value = function(items[index])
                pipe.send((index, value, time.perf_counter() - start))


def isolated(
    function: Callable[[Any], Any], items: Sequence[Any], workers: int, timeout: float
) -> Iterator[Outcome]:
    """`function` of every item, in whatever order they finish.

    Args:
        function: must not raise; what it returns is pickled back to this process.
        items: shared with the workers (by fork where the system has it).
        workers: processes, at least one.
        timeout: seconds one item may take: a safety net, not a tool.
    """
    waiting = deque(range(len(items)))
    pool = [_Worker(function, items) for _ in range(min(workers, max(1, len(items))))]
    try:
        for worker in pool:
            _feed(worker, waiting)
        while any(worker.chunk for worker in pool):
            busy = {w.pipe: w for w in pool if w.chunk}
            ready = wait([*busy, *(w.process.sentinel for w in busy.values())], timeout=0.2)
            for i, worker in enumerate(pool):
                if not worker.chunk:
                    continue
                if worker.pipe in ready:
                    with suppress(EOFError, ConnectionResetError):
                        while worker.pipe.poll():
                            index, value, seconds = worker.pipe.recv()
                            worker.chunk.popleft()
                            worker.since = time.monotonic()
                            yield Outcome(index, "done", value, seconds)
                spent = time.monotonic() - worker.since
                alive = worker.process.is_alive()
                if worker.chunk and (not alive or spent > timeout):
                    index = worker.chunk.popleft()
                    waiting.extendleft(reversed(worker.chunk))
                    worker.end()
                    pool[i] = worker = _Worker(function, items)
                    yield Outcome(index, "timed_out" if alive else "crashed", None, spent)
                if not worker.chunk:
                    _feed(worker, waiting)
    finally:
        for worker in pool:
            worker.end()


def _feed(worker: _Worker, waiting: deque[int]) -> None:
    if waiting:
        worker.give([waiting.popleft() for _ in range(min(_CHUNK, len(waiting)))])

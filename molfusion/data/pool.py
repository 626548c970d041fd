"""Worker processes that may hang or die: RDKit is C++, and some molecules break it.

Each worker is watched from outside. One that exceeds the time limit is killed, one that dies is replaced, and the item
that did it is reported once and not tried again. Items may be worked on several at a time where that is faster; when
such a group fails, its items go one by one, so that only the one at fault is blamed.
"""

from __future__ import annotations

import multiprocessing as mp
import signal
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

_CHUNK_SECONDS = 0.2  # of work handed over at a time, so that an early end and a slow item cost little
_CHUNK = 64  # items of it at most
_PATIENCE = 10.0  # wall time that one second of the limit may take: the machine is busy, or the worker sleeps

Function = Callable[[Sequence[Any]], list[Any]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of item number `index`."""

    index: int
    status: str  # done | raised | timed_out | crashed | unwanted
    value: Any  # of what raised, the error as text
    seconds: float  # of CPU time


@dataclass(frozen=True, slots=True)
class _Raised:
    """In the place of a value."""

    error: str


class _Worker:
    def __init__(self, function: Function, items: Sequence[Any], timeout: float, siblings: Sequence[_Worker]) -> None:
        fork = "fork" in mp.get_all_start_methods()
        context: Any = mp.get_context("fork" if fork else "spawn")
        self.pipe, theirs = context.Pipe()
        # A forked child has our ends of all pipes: unless it closes them, no worker would notice that we are gone.
        ours = [self.pipe, *(w.pipe for w in siblings)] if fork else []
        self.process = context.Process(target=_serve, args=(theirs, ours, function, items, timeout), daemon=True)
        self.process.start()
        theirs.close()
        self.chunk: deque[int] = deque()  # handed over and not yet reported
        self.together = False  # they are worked on at once; else the first one is
        self.since = time.monotonic()

    def give(self, indices: list[int], together: bool) -> None:
        self.chunk, self.together = deque(indices), together
        self.since = time.monotonic()
        with suppress(BrokenPipeError):  # it died while idle: its sentinel tells
            self.pipe.send((indices, together))

    def results(self) -> Iterator[Outcome]:
        with suppress(EOFError, ConnectionResetError, BrokenPipeError):
            while self.pipe.poll():
                for index, value, seconds in self.pipe.recv():
                    self.chunk.remove(index)
                    failed = isinstance(value, _Raised)
                    yield Outcome(index, "raised" if failed else "done", value.error if failed else value, seconds)
                self.since = time.monotonic()

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.pipe.close()


def _serve(pipe: Connection, ours: list[Connection], function: Function, items: Sequence[Any], timeout: float) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    for other in ours:
        other.close()
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):  # the parent is gone: do not linger
        while True:
            indices, together = pipe.recv()
            for group in [indices] if together else [[index] for index in indices]:
                start = time.thread_time()  # the process's own clock goes by ticks of 4 ms while an alarm is set
                values = _values(function, [items[index] for index in group], timeout)
                each = (time.thread_time() - start) / len(group)
                pipe.send([(index, value, each) for index, value in zip(group, values, strict=True)])


def _values(function: Function, items: Sequence[Any], timeout: float) -> list[Any]:
    """A value for each item; if the function raises, of each by itself, so that only the item at fault has none."""
    _alarm(timeout)
    try:
        return function(items)
    except Exception as error:
        if len(items) > 1:
            return [value for item in items for value in _values(function, [item], timeout)]
        return [_Raised(f"{type(error).__name__}: {error}")]
    finally:
        _alarm(0.0)


def _alarm(seconds: float) -> None:
    """Have the system end this process after so many seconds of CPU time, C++ or not; 0: no longer."""
    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_PROF, seconds)


_ALARMED = -signal.SIGPROF if hasattr(signal, "setitimer") else None
_SLACK = _PATIENCE if hasattr(signal, "setitimer") else 1.0


class _Queue:
    """Items not yet handed over."""

    def __init__(self, count: int, group: int, wanted: Callable[[int], bool]) -> None:
        self.waiting = deque(range(count))
        self.alone: deque[int] = deque()  # from groups that failed
        self.group, self.wanted = group, wanted
        self.unwanted: list[int] = []
        self.done, self.seconds = 0, 0.0

    def feed(self, worker: _Worker) -> None:
        together = self.group > 1 and not self.alone
        source = self.alone or self.waiting
        size = self.group if together else self._chunk()
        indices: list[int] = []
        while source and len(indices) < size:
            index = source.popleft()
            (indices if self.wanted(index) else self.unwanted).append(index)
        if indices:
            worker.give(indices, together)

    def take_back(self, worker: _Worker) -> int | None:
        """Keep what a lost worker had not done; the item at fault, if it was working on one alone."""
        if worker.together and len(worker.chunk) > 1:
            self.alone.extend(worker.chunk)
            return None
        blamed = worker.chunk.popleft() if worker.chunk else None
        self.alone.extendleft(reversed(worker.chunk))
        return blamed

    def passed_over(self) -> Iterator[Outcome]:
        while self.unwanted:
            yield Outcome(self.unwanted.pop(), "unwanted", None, 0.0)

    def _chunk(self) -> int:
        mean = self.seconds / self.done if self.done else _CHUNK_SECONDS
        return min(_CHUNK, max(1, int(_CHUNK_SECONDS / max(mean, 1e-9))))


def isolated(
    function: Function,
    items: Sequence[Any],
    workers: int,
    timeout: float,
    group: int = 1,
    wanted: Callable[[int], bool] = lambda index: True,
) -> Generator[Outcome, None, None]:
    """`function` of every item, in whatever order they finish.

    Args:
        function: of some items, returns a value for each; the values are pickled back. An item for which it raises is
            reported as `raised`.
        items: shared with the workers (by fork where the system has it).
        workers: processes, at least one.
        timeout: seconds of CPU time one item (or one group) may take, and ten times that by the clock; where the
            system cannot measure another process's CPU time, by the clock. A safety net, not a tool.
        group: items that `function` is given at a time.
        wanted: asked before an item is handed over; what is not wanted any more is reported as such.
    """
    workers = min(workers, max(1, len(items)))
    queue = _Queue(len(items), max(1, min(group, len(items) // (4 * workers))), wanted)
    pool: list[_Worker] = []
    try:
        for _ in range(workers):
            pool.append(_Worker(function, items, timeout, pool))
            queue.feed(pool[-1])
        while busy := [w for w in pool if w.chunk]:
            wait([w.pipe for w in busy] + [w.process.sentinel for w in busy], timeout=0.2)
            for i, worker in enumerate(pool):
                alive = worker.process.is_alive()  # asked before its results are read, so that none is missed
                for outcome in worker.results():
                    queue.done += 1
                    queue.seconds += outcome.seconds
                    yield outcome
                spent = time.monotonic() - worker.since
                if not alive or (worker.chunk and spent > timeout * _SLACK):
                    late = alive or worker.process.exitcode == _ALARMED
                    worker.end()
                    pool[i] = _Worker(function, items, timeout, pool[:i] + pool[i + 1 :])
                    if (blamed := queue.take_back(worker)) is not None:
                        status = "timed_out" if late else "crashed"
                        yield Outcome(blamed, status, None, min(spent, timeout) if late else spent)
                if not pool[i].chunk:
                    queue.feed(pool[i])
            yield from queue.passed_over()
        yield from queue.passed_over()
    finally:
        for worker in pool:
            worker.end()

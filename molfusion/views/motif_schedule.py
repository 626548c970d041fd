"""In which order the messages of a motif tree are computed: once a molecule, so that a network only has to run through it.

Messages of an incremental decoder are computed again and again as the molecule grows. Each value is a row here; rows name
the rows they read. Two values of equal inputs are one row, and a message that nothing inside its cluster feeds is done
after one round: both are exact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Bond = tuple[int, int]  # from, to


class Rows:
    """Values of messages between atoms; row numbers from 1."""

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self.codes: list[tuple[int, ...]] = []
        self.reads: list[tuple[int, ...]] = []
        self.levels: list[int] = []
        self.current: dict[Bond, int] = {}  # the last value of each message
        self._known: dict[tuple[tuple[int, ...], tuple[int, ...]], int] = {}

    def update(self, codes: Mapping[Bond, tuple[int, ...]], into: Mapping[int, Sequence[int]]) -> None:
        """`depth` rounds over these messages, from nothing; all others stay.

        Args:
            codes: what each message itself is made of.
            into: for each atom those with a message to it.
        """
        near = {(a, b): [(w, a) for w in into.get(a, ()) if w != b] for a, b in codes}
        rounds = settled({m: [n for n in ns if n in codes] for m, ns in near.items()}, self.depth)
        now: dict[tuple[Bond, int], int] = {}

        def value(m: Bond, r: int) -> int:
            """The row of a message after `r` rounds; only what somebody reads becomes one."""
            r = min(r, rounds[m])
            if r and (m, r) not in now:
                reads = (value(n, r - 1) if n in codes else self.current.get(n, 0) for n in near[m])
                now[m, r] = self._row(codes[m], tuple(sorted(x for x in reads if x)))
            return now[m, r] if r else 0

        self.current.update({m: value(m, self.depth) for m in codes})

    def _row(self, code: tuple[int, ...], reads: tuple[int, ...]) -> int:
        key = (code, reads)
        if key not in self._known:
            self.codes.append(code)
            self.reads.append(reads)
            self.levels.append(1 + max((self.levels[x - 1] for x in reads), default=0))
            self._known[key] = len(self.codes)
        return self._known[key]

    def arrays(self, prefix: str, width: int) -> dict[str, NDArray[np.int16]]:
        """`_codes` [R, width], `_levels` [R], `_reads` [E, 2] of (row, row it reads)."""
        return {
            f"{prefix}_codes": table(self.codes, width),
            f"{prefix}_levels": np.array(self.levels, dtype=np.int16),
            f"{prefix}_reads": table([(i + 1, x) for i, reads in enumerate(self.reads) for x in reads], 2),
        }


def settled(near: Mapping[Bond, Sequence[Bond]], depth: int) -> dict[Bond, int]:
    """After how many rounds each message stays as it is; at most `depth`, which those on a cycle need."""
    rounds = dict.fromkeys(near, 1)
    for _ in range(depth - 1):
        following = {m: 1 + max((rounds[n] for n in ns), default=0) for m, ns in near.items()}
        if following == rounds:
            break
        rounds = following
    return {m: min(n, depth) for m, n in rounds.items()}


def table(rows: Sequence[Sequence[int]], width: int) -> NDArray[np.int16]:
    """[n, width], also where n is 0."""
    return np.array(rows, dtype=np.int16).reshape(-1, width)


def ordered(levels: NDArray[Any]) -> tuple[NDArray[np.int64], list[int]]:
    """Where each row goes when they are sorted by level (from 0), and the size of each level."""
    places = np.empty(len(levels), dtype=np.int64)
    places[np.argsort(levels, kind="stable")] = np.arange(len(levels))
    return places, np.bincount(levels)[1:].tolist() if len(levels) else []


def padded(pairs: NDArray[np.int64], rows: int) -> NDArray[np.int64]:
    """Pairs (row from 0, value from 1) as [rows, K], 0 where a row has fewer."""
    pairs = pairs[np.argsort(pairs[:, 0], kind="stable")]
    counts = np.bincount(pairs[:, 0], minlength=rows)
    column = np.arange(len(pairs)) - np.repeat(np.cumsum(counts) - counts, counts)
    out = np.zeros((rows, max(1, int(counts.max(initial=0)))), dtype=np.int64)
    out[pairs[:, 0], column] = pairs[:, 1]
    return out


def stacked(
    items: Sequence[Mapping[str, NDArray[Any]]], name: str, shifts: Mapping[int, Sequence[int]]
) -> NDArray[np.int64]:
    """One array of all molecules; `shifts` moves the numbers of a column by what stands before each molecule."""
    arrays = [item[name].astype(np.int64) for item in items]
    for column, by in shifts.items():
        for array, shift in zip(arrays, by, strict=False):
            array[:, column] += shift
    return np.concatenate(arrays)


def widths(near: NDArray[np.int64], sizes: Sequence[int]) -> list[int]:
    """The most neighbours in each level."""
    filled = (near > 0).sum(1)
    edges = np.cumsum([0, *sizes])
    return [int(filled[a:b].max(initial=0)) for a, b in pairwise(edges)]

"""How often each source of instruction data is asked: rare ones more often than they come (3D-MoLM §4.3)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from molfusion.batch import Record

# 3D-MoLM draws from four sources: numbers calculated by quantum chemistry, numbers that PubChem computes, descriptions,
# captions. A task of another name is a source of its own.
_QUANTUM, _COMPUTED = "quantum chemistry", "computed"
SOURCES = {
    "HOMO": _QUANTUM, "LUMO": _QUANTUM, "HOMO-LUMO Gap": _QUANTUM, "SCF Energy": _QUANTUM, "Dipole Moment": _QUANTUM,
    "Molecular Weight": _COMPUTED, "LogP": _COMPUTED, "Topological Polar Surface Area": _COMPUTED, "Complexity": _COMPUTED,
}  # fmt: skip


def source_of(record: Record) -> str:
    return SOURCES.get(record.task, record.task)


def shares(counts: Sequence[int] | NDArray[np.int64], power: float) -> NDArray[np.float64]:
    """The probability of each source of so many records: in proportion to count^power. 1: as they come, 0: all alike."""
    weights = np.asarray(counts, dtype=np.float64) ** power
    found: NDArray[np.float64] = weights / weights.sum()
    return found


def draw(sources: NDArray[np.int64], power: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """As many indices as there are records: each time a source by its share, then one of its records, all alike.

    As in the released code, a record can come twice in an epoch, and another not at all.

    Args:
        sources: [n] of each record the number of its source, from 0, each number used.
        power: see `shares`.
        rng: drawn from.
    """
    counts = np.bincount(sources)
    members, first = np.argsort(sources, kind="stable"), np.concatenate([[0], np.cumsum(counts)[:-1]])
    chosen = rng.choice(len(counts), size=len(sources), p=shares(counts, power))
    within = rng.integers(0, counts[chosen])
    out: NDArray[np.int64] = members[first[chosen] + within]
    return out

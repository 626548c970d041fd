"""Is an input used? Let molecules show somebody else's, and see what the answers lose."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from molfusion.batch import Record

How = Literal["shuffle", "blank", "twin"]
HOWS: tuple[How, ...] = get_args(How)


def donors(records: Sequence[Record], how: How, seed: int = 0) -> NDArray[np.int64]:
    """[n] for each record, the one whose view it shows.

    `shuffle`: a record of another molecule, every record lent once, unless one molecule is more than half of them;
    `blank`: the same molecule for all, so that the view tells nothing; `twin`: another conformer or stereoisomer of the
    same molecule, so that only what tells those apart is lost (itself, where it has none).
    """
    if how == "blank":
        return np.zeros(len(records), dtype=np.int64)
    by_group: dict[str, list[int]] = defaultdict(list)
    for i, record in enumerate(records):
        by_group[record.group or f"#{i}"].append(i)
    groups = list(by_group.values())
    out = np.arange(len(records))
    if how == "twin":
        for members in groups:
            first = {records[i].id: i for i in reversed(members)}  # a record can be there once more, with part of its text
            following = dict(zip(first, [*list(first)[1:], next(iter(first))], strict=True))
            out[members] = [first[following[records[i].id]] for i in members]
        return out
    order = np.random.default_rng(seed).permutation(len(groups))
    line = np.array([i for g in order for i in groups[g]], dtype=np.int64)
    out[line] = np.roll(line, max(map(len, groups), default=0))  # past the largest group: no one meets its own
    return out


def how(name: str) -> How:
    """The name, checked.

    Raises:
        ValueError: no such way.
    """
    if name not in HOWS:
        raise ValueError(f"{name!r} is no way to take an input away; there are {', '.join(HOWS)}")
    return name

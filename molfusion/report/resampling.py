"""The resamples that all intervals share: how often each group, and each seed, is drawn."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
Matrix = NDArray[np.float64]


@lru_cache(maxsize=3)  # large, but the rows of a table ask for the same again and again
def weights(groups: int, seed: int = 0) -> Matrix:
    """[resamples, groups] how often each group is drawn when as many are drawn as there are."""
    drawn = np.random.default_rng(seed).integers(groups, size=(RESAMPLES, groups))
    return _counted(drawn, groups)


@lru_cache(maxsize=64)
def shares(groups: int, seeds: int, seed: int = 0) -> Matrix:
    """[resamples, seeds] the share that each seed has in a resample, drawn after its groups."""
    rng = np.random.default_rng(seed)
    rng.integers(groups, size=(RESAMPLES, groups))
    return _counted(rng.integers(seeds, size=(RESAMPLES, seeds)), seeds) / seeds


def _counted(drawn: NDArray[np.int64], count: int) -> Matrix:
    """[rows, count] how often each number stands in each row."""
    places = drawn + count * np.arange(len(drawn))[:, None]
    found = np.bincount(places.ravel(), minlength=len(drawn) * count).reshape(len(drawn), count).astype(np.float64)
    found.flags.writeable = False  # it is shared
    return found

"""Similarity, Novelty, Diversity, Validity, uniqueness and novelty of generated molecules, from the samples themselves."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from molfusion.chem.similarity import known
from molfusion.metrics.molecules import prompted
from molfusion.report.corpus import Corpus, gathered, ratio
from molfusion.report.results import Result

# Columns of `_counted`: what is counted of what.
_RELEASED = {"Validity": (1, 0), "Similarity": (2, 1), "Novelty": (3, 2), "Diversity": (4, 5), "Diversity/samples": (6, 7)}


def of_molecules(result: Result, metric: str) -> Corpus | None:
    """A share of all samples, of all pairs of samples or of the distinct molecules."""
    p = result.predictions
    if metric in _RELEASED:
        if "released" not in result.parts:
            result.parts["released"] = _counted(p)
        first = np.unique(p["id"].astype(str), return_index=True)[1]
        return gathered(p["id"][first], p["group"][first], result.parts["released"][:, _RELEASED[metric]], ratio)
    if metric == "uniqueness" or (metric == "novelty" and "unseen" in p):
        share = _shares(p["generated"])
        counted = (share, share > 0) if metric == "uniqueness" else (share * p["unseen"].astype(float), share)
        return gathered(p["id"], p["group"], np.stack(counted, axis=1).astype(np.float64), ratio)
    return None


def _counted(p: dict[str, NDArray[Any]]) -> NDArray[np.float64]:
    """[prompts, 8] what the samples of each prompt add, prompts in the order of their ids."""
    ids, first, at = np.unique(p["id"].astype(str), return_index=True, return_inverse=True)
    samples: list[list[str | None]] = [[] for _ in ids]
    for place, sample in zip(at, p["generated"], strict=True):
        samples[place].append(sample)
    found = [prompted(p["smiles"][i], made) for i, made in zip(first, samples, strict=True)]
    return np.array([
        [f.total, f.valid, f.qualified, f.new, sum(f.apart), len(f.apart), sum(f.apart_samples), len(f.apart_samples)]
        for f in found
    ])  # fmt: skip


def _shares(generated: NDArray[Any]) -> NDArray[np.float64]:
    """[samples] 1 / how many samples are the same molecule, 0 for none: their sum is the number of distinct molecules.

    Resamples keep these shares: counted anew, what is drawn twice would be a copy of itself.
    """
    keys = [found.inchikey if (found := known(s)) is not None else None for s in generated]
    copies = Counter(keys)
    return np.array([0.0 if key is None else 1 / copies[key] for key in keys])

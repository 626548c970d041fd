"""Is it so? Take out the tokens of the atoms that count most, and of as many at random; the first should hurt more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from molfusion.batch import MoleculeBatch, Record
from molfusion.grounding.attribution import Method, ground
from molfusion.grounding.scores import rightness
from molfusion.grounding.watch import Watch
from molfusion.tasks.base import Task

Bools = NDArray[np.bool_]


class Deletion(NamedTuple):
    """What one molecule lost in rightness."""

    id: str
    atoms: int  # that lost their tokens
    top: float  # without those that count most
    random: float  # without as many others, mean over draws


def delete(
    task: Task,
    batch: MoleculeBatch,
    records: Sequence[Record],
    method: Method = "gradient",
    share: float = 0.25,
    draws: int = 10,
    seed: int = 0,
) -> list[Deletion]:
    """Each molecule of a batch of more than one atom.

    Args:
        task: trained.
        batch: the records, under the views that the task reads.
        records: in the batch's order.
        method: by which atoms are ranked.
        share: of the atoms to take the tokens of, at least one.
        draws: of random atoms.
        seed: of the draws.
    """
    found = ground(task, batch, records, method)
    watch = Watch(task)
    rng = np.random.default_rng(seed)
    counts = [max(1, round(share * len(g.atoms))) for g in found]
    standing = [[part.encoder.token_atoms(record) for record in records] for part in watch.parts]

    def without(orders: list[NDArray[np.int64]]) -> NDArray[np.float64]:
        chosen = [order[:n] for order, n in zip(orders, counts, strict=True)]
        return _rightness(task, watch, batch, [_tokens_of(of, chosen) for of in standing])

    whole = _rightness(task, watch, batch)
    top = without([np.argsort(-g.atoms, kind="stable") for g in found])
    lost = whole - np.mean([without([rng.permutation(len(g.atoms)) for g in found]) for _ in range(draws)], axis=0)
    return [
        Deletion(g.id, n, float(whole[i] - top[i]), float(lost[i]))
        for i, (g, n) in enumerate(zip(found, counts, strict=True))
        if len(g.atoms) > 1
    ]


def summary(deletions: Sequence[Deletion], samples: int = 2000, seed: int = 0) -> dict[str, Any]:
    """Mean loss of both, their difference with a 95 % interval over molecules (bootstrap), and how often the top hurt more."""
    top, random = np.array([d.top for d in deletions]), np.array([d.random for d in deletions])
    differences = top - random
    drawn = np.random.default_rng(seed).integers(0, len(differences), (samples, len(differences)))
    low, high = np.percentile(differences[drawn].mean(1), [2.5, 97.5])
    return {
        "molecules": len(deletions),
        "top": float(top.mean()),
        "random": float(random.mean()),
        "difference": float(differences.mean()),
        "interval": [float(low), float(high)],
        "top_hurts_more": float((differences > 0).mean()),
    }


def _rightness(task: Task, watch: Watch, batch: MoleculeBatch, removed: Sequence[Bools] = ()) -> NDArray[np.float64]:
    gone = [torch.from_numpy(tokens).to(batch.targets.device) for tokens in removed]
    with watch.tokens(gone):
        return rightness(task, batch).detach().double().cpu().numpy()


def _tokens_of(standing: Sequence[NDArray[np.int64]], atoms: Sequence[NDArray[np.int64]]) -> Bools:
    """[B, T] the tokens that stand for these atoms."""
    out = np.zeros((len(standing), max(map(len, standing))), dtype=bool)
    for row, tokens, chosen in zip(out, standing, atoms, strict=True):
        row[: len(tokens)] = np.isin(tokens, chosen)
    return out

"""Numbers out of generated answers: how many are valid, and how far off those are.

An answer without a number, or with an absurd one, is invalid. The error over valid answers alone flatters a model that
keeps silent where it would be wrong, so it never stands without the share of valid answers and the error in which an
invalid answer counts as the training mean.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Range(NamedTuple):
    """What an answer may be, ends excluded (the low end included where `closed`)."""

    low: float
    high: float
    closed: bool = False

    def __contains__(self, value: object) -> bool:
        return isinstance(value, float) and (self.low < value < self.high or (self.closed and value == self.low))


# 3D-MoLM, read_generalist_results.py: the eight tasks of 3D-MoIT, in their units.
RANGES = {
    "HOMO": Range(-20, 20),  # eV
    "LUMO": Range(-20, 20),  # eV
    "HOMO-LUMO Gap": Range(-20, 20),  # eV
    "SCF Energy": Range(-5, 0),  # 10⁴ eV
    "LogP": Range(-30, 50),
    "Topological Polar Surface Area": Range(0, 2000, closed=True),  # Å²
    "Complexity": Range(0, 10000, closed=True),
    "Molecular Weight": Range(0, 4000),  # g/mol
}
_ANY = Range(-np.inf, np.inf)

_DECIMAL = re.compile(r"-?\d+\.\d+")  # the official rule
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")


def parse(answer: str, integers: bool = False) -> float | None:
    """The first decimal number of an answer, or None.

    By the official rule `12` is no number and `1.5e-3` is 1.5; with `integers` they are 12 and 0.0015.
    """
    found = (_NUMBER if integers else _DECIMAL).search(answer)
    return float(found.group()) if found else None


def answers(predictions: Sequence[str], tasks: Sequence[str], integers: bool = False) -> Floats:
    """[N] the number each answer gives, nan where it is invalid: there is none, or it is out of its task's range."""
    found = [parse(p, integers) for p in predictions]
    valid = [v is not None and v in RANGES.get(t, _ANY) for v, t in zip(found, tasks, strict=True)]
    return np.array([v if ok else np.nan for v, ok in zip(found, valid, strict=True)], dtype=np.float64)


def scores(
    predictions: Sequence[str],
    references: Sequence[str] | Sequence[float],
    tasks: Sequence[str],
    train_means: Mapping[str, float] | None = None,
    integers: bool = False,
) -> dict[str, float]:
    """For each task `<task>/MAE` over the valid answers, `<task>/valid`, their share, and `<task>/penalised_MAE`.

    Args:
        predictions: generated answers.
        references: the right answers, as texts or as numbers.
        tasks: the property that each asks for.
        train_means: of the right answers in training, by task: what an invalid answer counts as.
        integers: whether an answer without a decimal point is one; see `parse`.

    Returns:
        A task without a valid answer has no MAE; one without a training mean has no penalised MAE.

    Raises:
        ValueError: a right answer holds no number.
    """
    guessed = answers(predictions, tasks, integers)
    right = np.array([_right(r) for r in references], dtype=np.float64)
    out: dict[str, float] = {}
    for task in dict.fromkeys(tasks):
        mine = np.array([t == task for t in tasks])
        error, valid = np.abs(guessed - right)[mine], np.isfinite(guessed[mine])
        if valid.any():
            out[f"{task}/MAE"] = float(error[valid].mean())
        out[f"{task}/valid"] = float(valid.mean())
        if train_means is not None and task in train_means:
            out[f"{task}/penalised_MAE"] = float(np.where(valid, error, np.abs(train_means[task] - right[mine])).mean())
    return out


def means(references: Sequence[str] | Sequence[float], tasks: Sequence[str]) -> dict[str, float]:
    """The mean right answer of each task: `train_means` for `scores`."""
    right = np.array([_right(r) for r in references], dtype=np.float64)
    return {task: float(right[np.array([t == task for t in tasks])].mean()) for task in dict.fromkeys(tasks)}


def _right(reference: str | float) -> float:
    value = parse(reference, integers=True) if isinstance(reference, str) else float(reference)
    if value is None or not np.isfinite(value):
        raise ValueError(f"the right answer {reference!r} holds no number")
    return value

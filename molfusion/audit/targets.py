"""Columns of numbers that are not what their kind says, never change, are copies of each other, or are empty."""

from __future__ import annotations

import numpy as np

from molfusion.audit.subject import Finding, Subject, finding, share

_FAR = 10.0  # times the range of the middle 98 % of the values, from their median


def targets(subject: Subject) -> list[Finding]:
    """Silent on a card without targets."""
    named = subject.card.target_list()
    if not named:
        return []
    found: list[Finding] = []
    values = np.array([r.targets for r in subject.records], dtype=np.float64)
    for k, target in enumerate(named):
        column = values[:, k]
        known = column[np.isfinite(column)]
        if np.isinf(column).any():
            found.append(finding("error", f"{target.name}: {np.isinf(column).sum()} values are infinite"))
        if not len(known):
            found.append(finding("error", f"{target.name}: no value at all: is the column the right one?"))
            continue
        if (known == known[0]).all():
            found.append(finding("warning", f"{target.name}: every value is {known[0]:g}"))
        if target.kind == "classification":
            if odd := sorted(set(known) - {0.0, 1.0}):
                told = [f"{v:g}" for v in odd]
                found.append(finding("error", f"{target.name}: a class is 0 or 1; {len(odd)} other values occur", told))
        else:
            found += _outliers(target.name, column, subject)
        found += [
            finding("warning", f"{target.name} and {named[j].name} have the same values throughout")
            for j in range(k)
            if np.array_equal(values[:, j], column, equal_nan=True)
        ]
    return found


def _outliers(name: str, column: np.ndarray[tuple[int], np.dtype[np.float64]], subject: Subject) -> list[Finding]:
    known = column[np.isfinite(column)]
    low, middle, high = np.percentile(known, [1, 50, 99])
    far = [i for i in np.flatnonzero(np.isfinite(column)) if abs(column[i] - middle) > _FAR * (high - low) > 0]
    if not far:
        return []
    told = [f"{subject.records[i].id}: {column[i]:g}" for i in far]
    message = f"{name}: {share(len(far), len(known))} values lie more than {_FAR:g} ranges of the middle 98 % away"
    return [finding("warning", message, told)]

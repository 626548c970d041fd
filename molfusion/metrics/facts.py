"""Is what a caption says true? Not n-grams but claims: formula, rings, groups, counts of R and S centres …

For captions in the sentences of the demo set. Claims about composition and stereo are checked against the molecule,
those about the conformer (Å within a tenth) against what its own caption says.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from molfusion.demo.reading import Claim, read, true_of

_OF_THE_GRAPH = {
    "formula", "rings", "groups", "substitution", "polarity", "flexibility", "double_bonds", "stereocentres",
}  # fmt: skip
_TOLERANCE = 0.1  # of a length
_read, _true_of = lru_cache(maxsize=20_000)(read), lru_cache(maxsize=20_000)(true_of)  # every model is asked the same


def check(prediction: str, smiles: str, reference: str) -> list[dict[str, Any]]:
    """One row a claim: `kind`, `name`, `value`, whether it was `stated`, is `true` (None: nobody knows), was `wanted`.

    A claim is wanted if the reference makes it; wanted ones that were not stated are rows too.
    """
    stated, wanted = _read(prediction).claims, _read(reference).claims
    true = _true_of(smiles)
    said = [
        {**c._asdict(), "stated": True, "true": _holds(c, true, wanted), "wanted": _among(c, wanted)} for c in stated
    ]
    missed = [c for c in wanted if not _among(c, stated)]
    return said + [{**c._asdict(), "stated": False, "true": True, "wanted": True} for c in missed]


def scores(predictions: Sequence[str], smiles: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    """`facts/precision`: of the stated claims those that are true; `facts/hallucination`: the rest of them;
    `facts/recall`: of the wanted claims those that were stated; `facts/unread`: of the sentences those that are none
    of the generator's; `facts/claims`: a caption; then precision and recall of each kind of fact.

    Returns:
        What would divide by nothing has no entry.

    Raises:
        ChemError: a SMILES is no molecule.
    """
    rows = [row for asked in zip(predictions, smiles, references, strict=True) for row in check(*asked)]
    readings = [_read(text) for text in predictions]
    out = {f"facts/{name}": value for name, value in _shares(rows).items()}
    if "facts/precision" in out:
        out["facts/hallucination"] = 1 - out["facts/precision"]
    if sentences := sum(r.sentences for r in readings):
        out["facts/unread"] = sum(r.unread for r in readings) / sentences
    if predictions:
        out["facts/claims"] = sum(row["stated"] for row in rows) / len(predictions)
    for kind in dict.fromkeys(row["kind"] for row in rows):
        mine = [row for row in rows if row["kind"] == kind]
        out |= {f"facts/{kind}/{name}": value for name, value in _shares(mine).items()}
    return out


class Counts(NamedTuple):
    """What one caption adds to the shares of `scores`."""

    checked: int  # claims that are known to be true or false
    true: int  # of them
    wanted: int
    found: int  # of them
    stated: int
    sentences: int
    unread: int  # of them


def counts(prediction: str, smiles: str, reference: str) -> Counts:
    """One caption by itself."""
    rows, reading = check(prediction, smiles, reference), _read(prediction)
    true, found = _judged(rows)
    stated = sum(row["stated"] for row in rows)
    return Counts(len(true), sum(true), len(found), sum(found), stated, reading.sentences, reading.unread)


def _judged(rows: Sequence[dict[str, Any]]) -> tuple[list[bool], list[bool]]:
    """Of the stated claims whose truth is known, whether they are true; of the wanted ones, whether they were stated."""
    true = [row["true"] for row in rows if row["stated"] and row["true"] is not None]
    return true, [row["stated"] for row in rows if row["wanted"]]


def _shares(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    true, found = _judged(rows)
    out = {"precision": sum(true) / len(true)} if true else {}
    return out | ({"recall": sum(found) / len(found)} if found else {})


def _holds(claim: Claim, true: Sequence[Claim], wanted: Sequence[Claim]) -> bool | None:
    if claim.kind in _OF_THE_GRAPH:
        return claim in true
    asked = [c for c in wanted if (c.kind, c.name) == (claim.kind, claim.name)]
    return _among(claim, asked) if asked else None


def _among(claim: Claim, claims: Sequence[Claim]) -> bool:
    return any(_same(claim, other) for other in claims)


def _same(a: Claim, b: Claim) -> bool:
    if isinstance(a.value, float) and isinstance(b.value, float):
        return a[:2] == b[:2] and abs(a.value - b.value) <= _TOLERANCE * abs(b.value) + 1e-9
    return a == b

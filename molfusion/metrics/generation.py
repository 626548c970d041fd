"""A whole split of generated molecules: every metric of it, and a row a sample."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from molfusion.chem.similarity import known
from molfusion.metrics.molecules import Smiles, compare, means, qualified, released, uniqueness, unseen


class Asked(NamedTuple):
    """One molecule that was wanted, and what was made for it."""

    id: str
    group: str
    reference: str
    samples: Sequence[Smiles]


def scores(asked: Sequence[Asked], training: Collection[str] = ()) -> tuple[dict[str, float], list[dict[str, Any]]]:
    """Metrics, and rows that say of each sample what it adds to them.

    `score` is the mean MACCS Tanimoto with the reference over all samples; one that is no molecule counts 0.

    Of a row, `unseen` is 1 for a molecule that is not in training.

    Args:
        asked: of a split; at least one, each with at least one sample.
        training: InChIKeys of the training molecules; without them there is no `novelty`.
    """
    compared = [[compare(s, a.reference) for s in a.samples] for a in asked]
    every = [c for found in compared for c in found]
    samples = [s for a in asked for s in a.samples]
    metrics = released([a.reference for a in asked], [a.samples for a in asked]) | means(every)
    metrics["uniqueness"] = uniqueness(samples)
    if training:
        metrics["novelty"] = unseen(samples, training)
    metrics["score"] = metrics["maccs"]
    rows = [
        {
            "id": a.id, "group": a.group, "smiles": a.reference, "sample": number, "generated": sample,
            **c._asdict(), "qualified": float(qualified(sample, a.reference)), "score": c.maccs,
            **({"unseen": unseen([sample], training)} if training else {}),
        }
        for a, found in zip(asked, compared, strict=True)
        for number, (sample, c) in enumerate(zip(a.samples, found, strict=True))
    ]  # fmt: skip
    metrics["qualified"] = sum(row["qualified"] for row in rows) / len(rows)
    return metrics, rows


def inchikeys(smiles: Sequence[str]) -> frozenset[str]:
    """Of those that are molecules."""
    return frozenset(found.inchikey for s in set(smiles) if (found := known(s)) is not None)

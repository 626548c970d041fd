"""What two cards share: whether a model trained on one has seen the other's test molecules."""

from __future__ import annotations

from dataclasses import dataclass

from molfusion.audit.subject import Subject


@dataclass(frozen=True)
class Shared:
    """Of one split of B beside one split of A: how many of B's records are in A, by three identities."""

    split_a: str
    split_b: str
    total: int  # records of B's split
    molecules: int  # same InChIKey
    graphs: int  # same canonical SMILES without stereo
    scaffolds: int  # same Murcko scaffold, acyclic ones aside
    examples: tuple[str, ...]  # ids of B whose graph is in A


def overlap(a: Subject, b: Subject) -> list[Shared]:
    """Every split of A against every split of B that has records."""
    found = []
    for split_a in ("train", "val", "test"):
        ours = a.of_split(split_a)
        keys, graphs = {a.keys[i] for i in ours}, {a.graphs[i] for i in ours}
        scaffolds = {a.scaffolds[i] for i in ours} - {""}
        for split_b in ("train", "val", "test"):
            theirs = b.of_split(split_b)
            if not ours or not theirs:
                continue
            twins = [i for i in theirs if b.graphs[i] in graphs]
            found.append(
                Shared(
                    split_a,
                    split_b,
                    len(theirs),
                    sum(b.keys[i] in keys for i in theirs),
                    len(twins),
                    sum(b.scaffolds[i] in scaffolds for i in theirs),
                    tuple(b.records[i].id for i in twins[:5]),
                )
            )
    return found

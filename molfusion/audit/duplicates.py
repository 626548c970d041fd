"""One molecule in several rows of a split, and labels of it that disagree."""

from __future__ import annotations

import math

from molfusion.audit.subject import Finding, Subject, finding, same, share
from molfusion.batch import Record

_APART = 0.5  # labels further apart than this many standard deviations of the target disagree


def duplicates(subject: Subject) -> list[Finding]:
    """Rows of one group (conformers, say) are meant to be there."""
    found: list[Finding] = []
    records = subject.records
    identity = [record.canonical + (record.geometry.digest_bytes().hex() if record.geometry else "") for record in records]
    for split in ("train", "val", "test"):
        among = subject.of_split(split)
        groups = [g for g in same(identity, among) if len({records[i].group for i in g}) > 1]
        if groups:
            extra = sum(len(g) - 1 for g in groups)
            message = f"{share(extra, len(among))} rows of {split} repeat a molecule of it (the same coordinates, if it has any)"
            found.append(finding("warning", message, [_told(records, g) for g in groups]))
    return found + _conflicts(subject, identity)


def _told(records: list[Record], group: list[int]) -> str:
    return f"{', '.join(records[i].id for i in group)}: {records[group[0]].canonical}"


def _conflicts(subject: Subject, identity: list[str]) -> list[Finding]:
    found = []
    for k, target in enumerate(subject.card.target_list()):
        values = [r.targets[k] for r in subject.records]
        measured = [v for v in values if math.isfinite(v)]
        mean = sum(measured) / max(len(measured), 1)
        spread = math.sqrt(sum((v - mean) ** 2 for v in measured) / max(len(measured), 1))
        limit = 0.5 if target.kind == "classification" else _APART * spread
        wrong = []
        for group in same(identity):
            known = [values[i] for i in group if math.isfinite(values[i])]
            if known and max(known) - min(known) > limit:
                wrong.append(f"{_told(subject.records, group)}: {', '.join(f'{v:g}' for v in known)}")
        if wrong:
            far = "differ" if target.kind == "classification" else f"differ by more than {limit:.3g}"
            found.append(finding("warning", f"{target.name}: {len(wrong)} molecules have several labels that {far}", wrong))
    return found

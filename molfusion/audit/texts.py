"""Captions that are missing, or that say the same of several molecules."""

from __future__ import annotations

from molfusion.audit.subject import Finding, Subject, finding, same, share


def texts(subject: Subject) -> list[Finding]:
    """Silent on a card without texts."""
    records = subject.records
    if not any(r.text for r in records):
        return []
    found: list[Finding] = []
    empty = [r.id for r in records if not r.text]
    if empty:
        found.append(finding("warning", f"{share(len(empty), len(records))} records have no text", empty))
    groups = [g for g in same([r.text for r in records]) if len({records[i].canonical for i in g}) > 1]
    if groups:
        count = sum(map(len, groups))
        message = f"{share(count, len(records))} records share their text with another molecule: retrieval must count ties"
        common = sorted(groups, key=len, reverse=True)
        found.append(finding("note", message, [f"{len(g)} × {records[g[0]].text[:100]}" for g in common]))
    return found

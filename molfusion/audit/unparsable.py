"""Rows that did not become records."""

from __future__ import annotations

import re
from collections import defaultdict

from molfusion.audit.subject import Finding, Subject, finding, share


def unparsable(subject: Subject) -> list[Finding]:
    """One finding a kind of reason, the names and numbers in it left out."""
    kinds: dict[str, list[str]] = defaultdict(list)
    for row in subject.dropped:
        plain = row.reason.removesuffix(repr(row.smiles)).rstrip(": ")
        parts = (re.sub(r"\([A-Z]{14}-[^)]*\)|#? ?\d+(\.\d+)?", " …", part) for part in plain.split("; "))
        kinds["; ".join(dict.fromkeys(parts))].append(f"{row.id}: {plain}  {row.smiles}")
    total = len(subject.records) + len(subject.dropped)
    return [
        finding("warning", f"{share(len(rows), total)} rows are left out: {kind}", rows)
        for kind, rows in sorted(kinds.items(), key=lambda item: -len(item[1]))
    ]

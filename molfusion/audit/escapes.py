"""SMILES with doubled backslashes, as some exports write them. They are undone when a card is read."""

from __future__ import annotations

from molfusion.audit.subject import Finding, Subject, finding, share
from molfusion.chem.parse import unescape
from molfusion.data.readers import read


def escapes(subject: Subject) -> list[Finding]:
    """Reads the files once more: records no longer show it."""
    card = subject.card
    if card.format not in {"table", "smiles"}:
        return []
    given = [
        str(row.get("smiles") or "") for split in card.present() for path in card.paths_of(split) for row in read(path, card)
    ]
    doubled = [s for s in given if unescape(s) != s]
    if not doubled:
        return []
    message = f"{share(len(doubled), len(given))} SMILES have doubled backslashes; here they are undone, other programs may not"
    return [finding("note", message, doubled)]

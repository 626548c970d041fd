"""Look a card's records over before anything is trained on them: one check a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from molfusion.audit.duplicates import duplicates
from molfusion.audit.escapes import escapes
from molfusion.audit.leaks import leaks
from molfusion.audit.pairing import pairing
from molfusion.audit.prompts import prompts
from molfusion.audit.subject import Finding, Subject
from molfusion.audit.targets import targets
from molfusion.audit.texts import texts
from molfusion.audit.unparsable import unparsable

__all__ = ["CHECKS", "Finding", "Subject", "audit"]

CHECKS: dict[str, Callable[[Subject], list[Finding]]] = {
    "rows left out": unparsable,
    "doubled backslashes": escapes,
    "duplicates": duplicates,
    "leaks between splits": leaks,
    "texts": texts,
    "text against molecule": pairing,
    "answers in prompts": prompts,
    "targets": targets,
}


def audit(subject: Subject) -> Iterator[tuple[str, list[Finding]]]:
    """Every check and what it found, as it is done; an empty list: nothing."""
    for name, check in CHECKS.items():
        yield name, check(subject)

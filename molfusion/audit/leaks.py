"""What val and test share with train, and test with val: molecules, stereo twins, scaffolds, texts."""

from __future__ import annotations

from collections.abc import Sequence

from molfusion.audit.subject import Finding, Level, Subject, finding, share

_PAIRS = (("train", "val"), ("train", "test"), ("val", "test"))


def leaks(subject: Subject) -> list[Finding]:
    """A molecule on both sides is an error, its tautomer or stereoisomer a warning, its scaffold or text a note."""
    records = subject.records
    texts = [r.text for r in records]
    found: list[Finding] = []
    for seen, held in _PAIRS:
        before, behind = subject.of_split(seen), subject.of_split(held)
        molecules = _shared([r.canonical for r in records], before, behind)
        tautomers = sorted(set(_shared(subject.keys, before, behind)) - set(molecules))
        twins = sorted(set(_shared(subject.graphs, before, behind)) - set(molecules) - set(tautomers))
        retold = sorted(set(_shared(texts, before, behind)) - set(molecules))
        scaffolds = _shared(subject.scaffolds, before, behind)
        kinds: list[tuple[Level, list[int], str]] = [
            ("error", molecules, f"molecules of {held} are in {seen}"),
            ("warning", tautomers, f"molecules of {held} are in {seen} drawn otherwise (same InChIKey: a tautomer, a charge)"),
            ("warning", twins, f"molecules of {held} have a stereoisomer in {seen}"),
            ("note", scaffolds, f"molecules of {held} have a scaffold that is in {seen}"),
            ("note", retold, f"texts of {held} are, word for word, texts of other molecules of {seen}"),
        ]
        for level, indices, what in kinds:
            if indices:
                told = [f"{records[i].id}: {records[i].canonical}" for i in indices]
                found.append(finding(level, f"{share(len(indices), len(behind))} {what}", told))
    return found


def _shared(values: Sequence[str], before: Sequence[int], behind: Sequence[int]) -> list[int]:
    """Those of `behind` whose value is not empty and occurs in `before`."""
    known = {values[i] for i in before} - {""}
    return [i for i in behind if values[i] in known]

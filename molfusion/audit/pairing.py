"""Do the texts belong to their molecules? Element words of a text against the formula beside it.

A single mismatch proves little (texts name solvents, salts, parents). A file whose texts were shifted or shuffled
mismatches as often as chance, and chance is known: each claim fails as often as molecules lack that element.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from molfusion.audit.elements import claims
from molfusion.audit.subject import Finding, Subject, finding, share

_CHANCE = 0.5  # more than this share of the mismatches of random pairs: not this molecule's text
_ENOUGH = 5.0  # expected mismatches of random pairs below which nothing can be said
_WINDOW = 20.0  # expected mismatches of a stretch of rows, to find a part that is shifted


@dataclass
class _Tally:
    """Claims of some rows: how many fail, and how many would if the texts were drawn at random."""

    rows: list[int]
    failed: int = 0
    expected: float = 0.0

    @property
    def wrong(self) -> bool:
        return self.expected >= _ENOUGH and self.failed > _CHANCE * self.expected


def pairing(subject: Subject) -> list[Finding]:
    """An error where a file, or a stretch of it, is mis-paired; a warning for single rows where it is not."""
    claimed = [claims(r.text) for r in subject.records]
    if not any(claimed):
        return []
    found: list[Finding] = []
    mismatched: list[int] = []
    for split in ("train", "val", "test"):
        among = subject.of_split(split)
        have = Counter(element for i in among for element in subject.elements[i])
        lacking = {e: 1 - have[e] / max(len(among), 1) for c in claimed for e in c}
        whole = _Tally([])
        stretches = [_Tally([])]
        for i in among:
            if not claimed[i]:
                continue
            missing = claimed[i].keys() - subject.elements[i]
            if stretches[-1].expected >= _WINDOW:
                stretches.append(_Tally([]))
            for tally in (whole, stretches[-1]):
                tally.rows.append(i)
                tally.failed += len(missing)
                tally.expected += sum(lacking[e] for e in claimed[i])
            if missing:
                mismatched.append(i)
        if whole.wrong:
            found.append(_mispaired(subject, split, "", whole))
        else:
            found += [_mispaired(subject, split, "a part of ", s) for s in _joined(stretches)]
    if mismatched and not found:
        shown = [_told(subject, i, claimed[i]) for i in mismatched]
        claiming = sum(1 for c in claimed if c)
        message = f"{share(len(mismatched), claiming)} texts that name elements name one their molecule lacks"
        found.append(finding("note", message, shown))
    return found


def _joined(stretches: list[_Tally]) -> list[_Tally]:
    """Neighbouring stretches that are wrong, as one; a last stretch too short to tell counts for nothing."""
    out: list[_Tally] = []
    before = False
    for stretch in stretches:
        if wrong := stretch.wrong and stretch.expected >= _WINDOW:
            if before:
                last = out.pop()
                stretch = _Tally(last.rows + stretch.rows, last.failed + stretch.failed, last.expected + stretch.expected)
            out.append(stretch)
        before = wrong
    return out


def _mispaired(subject: Subject, split: str, part: str, tally: _Tally) -> Finding:
    ids = [subject.records[i].id for i in tally.rows]
    message = (
        f"{part}{split} ({ids[0]} to {ids[-1]}) looks mis-paired: {tally.failed} element words do not fit their molecule, "
        f"{tally.expected:.0f} would not if the texts were shuffled"
    )
    told = []
    for i in tally.rows:
        claimed = claims(subject.records[i].text)
        if claimed.keys() - subject.elements[i]:
            told.append(_told(subject, i, claimed))
    return finding("error", message, told)


def _told(subject: Subject, i: int, claimed: dict[str, str]) -> str:
    record = subject.records[i]
    element = sorted(claimed.keys() - subject.elements[i])[0]
    return f"{record.id}: no {element} in {record.canonical}, but {claimed[element]!r}"

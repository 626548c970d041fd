"""Published results beside ours where data and protocol match; otherwise the reason why not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import yaml

from molfusion.report.comparable import Protocol, Shown, ours, unlike
from molfusion.report.grid import Grid
from molfusion.report.results import Table

_FILE = Path(__file__).with_name("published.yaml")
_TASKS = {  # the papers' tasks are kinds of these
    "QFormerProjection": "Retrieval",
    "QFormerCaptioning": "Captioning",
    "CrossAttentionFusion": "Captioning",
    "LatentDiffusion": "Generation",
}


@dataclass(frozen=True)
class Published(Protocol):
    """One printed table: what was measured how, and the rows."""

    name: str
    task: str
    cards: list[str]  # ours on which the same was measured
    protocol: str
    source: str
    rows: dict[str, list[float | None]]
    sources: dict[str, str] = field(default_factory=dict)  # of a row that is from elsewhere
    elsewhere: str = ""  # the data, where no card of ours is of them
    by_card: bool = False  # a column a card, all of one metric
    classes: list[int] = field(default_factory=list)  # classification targets of each card

    def on(self, card: str) -> Published:
        """What it says of one card."""
        if not self.by_card or card not in self.cards:
            return self
        at = self.cards.index(card)
        rows = {label: [values[at]] for label, values in self.rows.items()}
        return replace(self, cards=[card], rows=rows, by_card=False, classes=self.classes[at : at + 1])

    def reason(self, table: Table) -> str:
        """Why no row of these can stand beside the table's; nothing if they can."""
        if table.card not in self.cards:
            data = f"{self.elsewhere}, which no card of ours is" if self.elsewhere else ", ".join(self.cards)
            return f"theirs are on {data}, ours on {table.card}"
        if table.absent:
            return f"ours lacks the card's {', '.join(table.absent)} file and splits what is left"
        kinds = [target["kind"] for target in table.targets]
        if self.classes and kinds != ["classification"] * self.classes[0]:
            found = f"classes: {kinds.count('classification')}, numbers: {kinds.count('regression')}"
            return f"theirs are of all classes of the card ({self.classes[0]}) and of no numbers, ours of {found} (data.targets)"
        why = [unlike(self, row) for row in table.rows if row.results]
        return "" if "" in why else next(iter(why), "ours have no run to stand beside")


@cache
def published() -> list[Published]:
    """All of them, from the file that ships with the package."""
    return [Published(**given) for given in yaml.safe_load(_FILE.read_text(encoding="utf-8"))]


def beside(table: Table) -> Grid:
    """Published rows of the same task: their numbers where they compare, and why the others do not."""
    rows: list[list[str]] = []
    task = _TASKS.get(table.task, table.task)
    asked = [p.on(table.card) for p in published() if p.task == task and table.card]
    notes = []
    for printed in asked:
        if reason := printed.reason(table):
            rows.append([printed.name, "not shown", reason, printed.source])
            continue
        for label, values in printed.rows.items():
            told = _told(list(zip(printed.metrics, values, strict=True)))
            rows.append([printed.name, label, told, printed.sources.get(label, printed.source)])
        for row in table.rows:
            if row.results:
                why = unlike(printed, row)
                rows.append([printed.name, f"ours: {row.label}", f"n/a: {why}" if why else _told(ours(printed, row)), "this run"])
        notes.append(f"{printed.name}: {printed.protocol}{_apart(printed.theirs)}.")
    note = " ".join([_NOTE, *_WARNINGS.get(task, ()), *notes])
    return Grid("Published results", ["what", "row", "result, or why not", "source"], rows, note)


_NOTE = (
    "Only results seen in a public source (A) or whose printed figures check out among themselves (B); none was read off a PDF"
    " here. The same name can hide other data (captions with and without the IUPAC name; all of ChEBI-20 or its smaller"
    " molecules) or another protocol, and runs of published models by others often come out elsewhere: where we know of one, it"
    " has a row. Papers seldom print what needs no model: beside all of them belong the baselines (in brackets) of the results."
)
_WARNINGS = {
    "Captioning": (
        "BLEU depends on what counts as a word: BLEU-4 of one and the same set of texts was 31 by words, 36 by SciBERT's tokens"
        " and 57 by characters. Chance in the choice of test captions alone moves BLEU-4 by ±0.97 with 3,300 of them and by"
        " ±1.25 with 2,000 (95 %), more than what separates many published rows. A caption copied from the most similar"
        " molecule of ChEBI-20's validation file has a BLEU-4 of 36, one drawn at random of 10 (SciBERT's tokens).",
        "Molecular weight, polar surface area and Crippen's logP follow from the structure without error: an answer that is off"
        " was read wrongly, not predicted badly.",
    ),
    "Generation": (
        "What rewards copying (exact, fingerprints) and what rewards drifting away (novelty, diversity) must be read together;"
        " 3M-Diffusion's validity is 1.00 by its own protocol and 0.595 in others' hands.",
    ),
    "Property": ("Another scaffold split, more tuning or more conformers at test time move these by as much as models do.",),
}


def _apart(theirs: dict[str, str]) -> str:
    reasons: dict[str, list[str]] = {}
    for metric, why in theirs.items():
        reasons.setdefault(why, []).append(metric)
    return "".join(f"; {', '.join(metrics)}: {why}" for why, metrics in reasons.items())


def _told(found: Sequence[Shown]) -> str:
    known = [(m, v) for m, v in found if v is not None]
    return ", ".join(f"{m} {v:.2f}" if abs(v) >= 2 else f"{m} {v:.3f}" for m, v in known)

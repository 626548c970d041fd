"""Published results beside ours where data and protocol match; otherwise the reason why not."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from molfusion.report.grid import Grid
from molfusion.report.results import Row, Table

_FILE = Path(__file__).with_name("published.yaml")


@dataclass(frozen=True)
class Published:
    """One printed table: what was measured how, and the rows."""

    name: str
    task: str
    cards: list[str]  # ours on which the same was measured
    protocol: str
    source: str
    metrics: list[str]
    rows: dict[str, list[float | None]]
    by_card: bool = False  # a column a card, all of one metric

    def on(self, card: str) -> Published:
        """What it says of one card."""
        if not self.by_card or card not in self.cards:
            return self
        rows = {label: [values[self.cards.index(card)]] for label, values in self.rows.items()}
        return replace(self, cards=[card], rows=rows, by_card=False)

    def reason(self, table: Table) -> str:
        """Why these rows cannot stand beside the table's; nothing if they can."""
        card = table.card
        if card not in self.cards:
            return f"theirs are on {', '.join(self.cards) or 'data that no card of ours reads'}, ours on {card}"
        if table.absent:
            return f"ours lacks the card's {', '.join(table.absent)} file and splits what is left"
        known = {m.removeprefix("test/") for row in table.rows for r in row.results for m in r.metrics}
        return "" if known & set(self.metrics) else f"ours does not report {', '.join(self.metrics)}"


@cache
def published() -> list[Published]:
    """All of them, from the file that ships with the package."""
    return [Published(**given) for given in yaml.safe_load(_FILE.read_text(encoding="utf-8"))]


def beside(table: Table) -> Grid:
    """Published rows of the same task: their numbers where they compare, and why the others do not."""
    rows: list[list[str]] = []
    asked = [p.on(table.card) for p in published() if p.task == table.task and table.card]
    for printed in asked:
        if reason := printed.reason(table):
            rows.append([printed.name, "not shown", reason, printed.source])
            continue
        rows += [[printed.name, label, _told(printed.metrics, values), printed.source] for label, values in printed.rows.items()]
        ours = [row for row in table.rows if row.results]
        rows += [[printed.name, f"ours: {r.label}", _told(printed.metrics, _mean(r, printed.metrics)), "this run"] for r in ours]
    protocols = "; ".join(f"{p.name}: {p.protocol}" for p in asked if not p.reason(table))
    note = (
        "Only results seen in a public source (A) or whose printed figures check out among themselves (B); none was read off a"
        " PDF here. The same name can hide other data, another tokenizer or another protocol."
        + (f" Protocols: {protocols}." if protocols else "")
    )
    return Grid("Published results", ["what", "row", "result, or why not", "source"], rows, note)


def _mean(row: Row, metrics: list[str]) -> list[float | None]:
    found: list[Any] = [row.values(m) for m in metrics]
    return [sum(v) / len(v) if v else None for v in found]


def _told(metrics: list[str], values: list[float | None]) -> str:
    known = [(m, v) for m, v in zip(metrics, values, strict=True) if v is not None]
    return ", ".join(f"{m} {v:.2f}" if abs(v) >= 2 else f"{m} {v:.3f}" for m, v in known) or "n/a"

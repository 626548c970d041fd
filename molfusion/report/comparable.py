"""Whether a row of ours was measured as a published one, and if not, what differs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from molfusion.chem.parse import ChemError, parse
from molfusion.report.results import Result, Row

_LEFT_OUT = 0.02  # of their test molecules, which ours may fail to read

Shown = tuple[str, float | None]  # a metric as it is printed, and its value


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """How published numbers were measured."""

    metrics: list[str]
    theirs: dict[str, str] = field(default_factory=dict)  # metrics that no run of ours reports, and why
    tokenizer: str = ""  # part of the name of the one whose tokens BLEU and METEOR count
    test: int | None = None  # molecules or texts
    samples: Literal["one", "several"] | None = None  # molecules made of a text
    max_heavy_atoms: int | None = None


def ours(printed: Protocol, row: Row) -> list[Shown]:
    """The row's means over seeds, under the printed names, of those that it reports."""
    named = _named(printed, row)
    return [(metric, float(np.mean(row.values(name)))) for metric, name in named.items()]


def unlike(printed: Protocol, row: Row) -> str:
    """What differs between the protocols, in words; nothing where they are the same."""
    if not _named(printed, row):
        return _unreported(printed, row)
    result = row.results[0]
    if printed.test is not None and (said := _counted(printed.test, result)):
        return said
    if printed.samples is not None:
        found = _samples(result)
        if (found > 1) != (printed.samples == "several"):
            return f"theirs make {printed.samples} a text, ours {found} (model.samples)"
    if printed.max_heavy_atoms is not None:
        largest = _largest(result)
        if not 0 < largest <= printed.max_heavy_atoms:
            size = f"of up to {largest} (data.max_heavy_atoms)" if largest else "of sizes that are not known"
            return f"theirs are of molecules of at most {printed.max_heavy_atoms} heavy atoms, ours {size}"
    return ""


def _named(printed: Protocol, row: Row) -> dict[str, str]:
    """Printed metric -> the name under which the row reports it, of those that it does."""
    known = [m.removeprefix("test/") for m in row.results[0].metrics if m.startswith("test/")]
    found = {}
    for metric in printed.metrics:
        if metric in known:
            found[metric] = metric
        for name in known:
            base, at, tokenizer = name.partition("@")
            if at and base == metric and printed.tokenizer and printed.tokenizer in tokenizer.lower():
                found[metric] = name
    return found


def _unreported(printed: Protocol, row: Row) -> str:
    others = {
        tokenizer.partition(":")[0]
        for name in row.results[0].metrics
        for base, _, tokenizer in [name.removeprefix("test/").partition("@")]
        if tokenizer and base in printed.metrics
    }
    if others and printed.tokenizer:
        return f"theirs count the tokens of {printed.tokenizer}, ours those of {', '.join(sorted(others))} (model.tokenizer)"
    return f"ours does not report {', '.join(m for m in printed.metrics if m not in printed.theirs)}"


def _counted(wanted: int, result: Result) -> str:
    """Of texts those that were generated, otherwise the molecules of the test split."""
    found = result.metrics.get("test/generated", result.record.get("data", {}).get("records", {}).get("test", 0))
    if (1 - _LEFT_OUT) * wanted <= found <= wanted:
        return ""
    return f"theirs are of {wanted:,} test molecules, ours of {found:,.0f}"


def _samples(result: Result) -> int:
    numbers = result.predictions.get("sample")
    return 1 if numbers is None or not len(numbers) else int(numbers.max()) + 1


def _largest(result: Result) -> int:
    """Heavy atoms of the largest molecule that was asked for; 0 where that cannot be told."""
    largest = 0
    for smiles in np.unique(result.predictions.get("smiles", np.array([], dtype=str)).astype(str)):
        try:
            largest = max(largest, parse(smiles).GetNumHeavyAtoms())
        except ChemError:
            continue
    return largest

"""Is each input used? What a model loses when an input is taken from other molecules."""

from __future__ import annotations

import numpy as np

from molfusion.report.difference import difference
from molfusion.report.grid import Grid
from molfusion.report.paired import holm, sign_flip, verdict
from molfusion.report.results import Row, Table
from molfusion.report.statistics import Interval

_SAID = {"better": "used", "worse": "harmful: better without it", "not distinguishable": "not used, as far as can be told"}
_MEANT = {"shuffle": "another molecule's", "blank": "one molecule's for all", "twin": "another conformer's or stereoisomer's"}


def is_used(table: Table, metric: str = "score") -> Grid:
    """One row a model, input and way of taking it away: the paired drop with its interval."""
    asked = [(row, *key) for row in table.rows for key in dict.fromkeys(key for r in row.results for key in r.without)]
    found = [(*key, drop, p) for key in asked if (made := _drop(*key, metric, table)) is not None for drop, p in [made]]
    rows = []
    for (row, view, how, drop, _), p in zip(found, holm([p for *_, p in found]), strict=True):
        before = float(np.mean(row.values(metric)))
        shown = f"{before:.3f}", f"{before - drop.mean:.3f}"
        rows.append([row.label, view, f"{_MEANT.get(how, how)} ({how})", *shown, drop.signed, said(drop, p)])
    columns = ["", "input", "shown instead", f"{metric}", "without it", "drop", "verdict"]
    note = (
        "The trained model on the test split once more, with one input taken from other molecules; nothing is trained anew."
        " Drop: paired by seed and molecule, 95 % interval; above 0 the input was of use. Used or harmful only where a sign-flip"
        f" test says so too, Holm-corrected for the rows of this table ({len(rows)}). A shuffled or blank input can also mislead:"
        " a drop says that the model looks at it, not that it gains by having it (that is the lift)."
    )
    return Grid("Is each input used", columns, rows, note)


def said(drop: Interval, p: float = 0.0) -> str:
    """The verdict; a drop that is printed as nothing is none, however sure its sign."""
    return _SAID["not distinguishable" if round(drop.mean, 3) == 0 else verdict(drop, p)]


def _drop(row: Row, view: str, how: str, metric: str, table: Table) -> tuple[Interval, float] | None:
    """With p, which is not corrected yet."""
    pairs = [(result, result.without[view, how]) for result in row.results if (view, how) in result.without]
    found = difference(pairs, metric, table.targets)
    return None if found is None or (drop := found.interval) is None else (drop, sign_flip(*found.added))

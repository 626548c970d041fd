"""Retrieval where it is hard: among records of one molecular graph, and by one kind of fact."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from molfusion.report import figures
from molfusion.report.by_molecule import by_molecule
from molfusion.report.grid import Grid
from molfusion.report.lifts import unrun
from molfusion.report.paired import LEVEL, holm, sign_flip
from molfusion.report.results import Row, Table
from molfusion.report.statistics import Interval, bootstrap, matrix
from molfusion.report.tables import with_interval, with_reasons


@dataclass(frozen=True)
class _Asked:
    """One row in the pools of one kind."""

    value: Interval
    chance: float
    p: float  # of being at chance, two-sided, Holm-corrected

    @property
    def apart(self) -> bool:
        """As of a difference between rows: only if both the test over molecules and the interval say so."""
        return self.p < LEVEL and self.value.excludes(self.chance)

    @property
    def verdict(self) -> str:
        if not self.apart:
            return "not distinguishable"
        return "above chance" if self.value.mean > self.chance else "below chance"


def pools(table: Table) -> Grid:
    kinds = sorted({
        m.split("/")[1] for row in table.rows for r in row.results for m in r.metrics
        if m.startswith("test/") and m.endswith("pool_accuracy")
    })  # fmt: skip
    found = {kind: _asked(table, kind) for kind in kinds}
    rows = []
    for row in table.rows:
        cells = [row.label]
        for kind in kinds:
            if (asked := found[kind].get(row.label)) is None:
                cells += ["n/a", "it has no such pools" if row.results else unrun(row)]
                continue
            cells.append(f"{asked.value.mean:.3f} [{asked.value.low:.3f}, {asked.value.high:.3f}]")
            cells.append(f"{asked.verdict} ({asked.chance:.2f})")
        rows.append(cells)
    columns = ["", *(c for kind in kinds for c in (f"{kind} pools", f"{kind}: verdict"))]
    note = (
        "Retrieval among records of one molecular graph, asked with the facts of one kind alone: 3d pools hold conformers"
        " of one stereoisomer, chi pools a molecule and its mirror image. Both directions; 95 % intervals by resampling"
        " molecules and seeds; chance is 1 / pool size. A row is above or below it where a sign-flip test over molecules"
        f" (whole groups; Holm-corrected for the rows of a column, level {LEVEL}) and the interval both say so."
    )
    drawn = {kind: {label: (a.value, a.chance, a.apart) for label, a in asked.items()} for kind, asked in found.items()}
    figure = Markup(figures.pools([r.label for r in table.rows], drawn)) if any(drawn.values()) else Markup()
    return Grid("Same-graph pools", columns, rows if kinds else [], note, figure, [bool(r.parts) for r in table.rows])


def _asked(table: Table, kind: str) -> dict[str, _Asked]:
    """By label, the rows that have such pools."""
    found: list[tuple[Row, Interval, float, float]] = []
    for row in table.rows:
        values, groups = matrix([by_molecule(r, f"{kind}/pool_accuracy", table.targets) for r in row.results])
        if values.size:
            chance = float(np.mean(row.values(f"{kind}/m2t/pool_chance")))
            found.append((row, bootstrap(values, groups), chance, sign_flip(values - chance, groups)))
    corrected = holm([p for *_, p in found])
    return {row.label: _Asked(value, chance, p) for (row, value, chance, _), p in zip(found, corrected, strict=True)}


def kinds(table: Table) -> Grid:
    scopes = sorted({
        m.split("/")[1] for row in table.rows for r in row.results for m in r.metrics
        if m.startswith("test/") and m.endswith("/m2t/R@10") and m.count("/") == 3 and "rerank" not in m
    })  # fmt: skip
    metrics = [f"{scope}/{direction}/R@10" for scope in scopes for direction in ("m2t", "t2m")]
    # Column by column: each kind has molecules of its own, and all rows share its resamples.
    cells = [[with_interval(row, metric, table) for row in table.rows] for metric in metrics]
    rows = [[row.label, *told] for row, *told in zip(table.rows, *cells, strict=True)]
    columns = ["", *(" ".join(metric.split("/")) for metric in metrics)]
    with_reasons(columns, rows, table.rows)
    note = (
        "Captions cut to the facts of one kind, ranked over all molecules that have such facts: mean ± s.d. over seeds,"
        " [95 % interval over molecules and seeds]."
    )
    return Grid("By kind of fact", columns, rows if scopes else [], note, emphasis=[bool(r.parts) for r in table.rows])

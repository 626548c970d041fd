"""Retrieval where it is hard: among records of one molecular graph, and by one kind of fact."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup

from molfusion.report import figures
from molfusion.report.grid import Grid
from molfusion.report.lifts import unrun
from molfusion.report.results import Table
from molfusion.report.statistics import Interval, chance_interval, interval
from molfusion.report.tables import cell, with_reasons


def pools(table: Table) -> Grid:
    kinds = sorted({
        m.split("/")[1] for row in table.rows for r in row.results for m in r.metrics
        if m.startswith("test/") and m.endswith("pool_accuracy")
    })  # fmt: skip
    rows, drawn = [], []
    for row in table.rows:
        found: dict[str, tuple[Interval, float]] = {}
        cells = [row.label]
        for kind in kinds:
            value = interval(row, f"{kind}/pool_accuracy", table.targets) if row.results else None
            if value is None:
                cells += ["n/a", "it has no such pools" if row.results else unrun(row)]
                continue
            chance = float(np.mean(row.values(f"{kind}/m2t/pool_chance")))
            asked = row.results[0].predictions
            low, high = chance_interval(chance, int(((asked["pool"] == "pool") & (asked["scope"] == kind)).sum()))
            found[kind] = (value, chance)
            verdict = "above chance" if value.low > chance else "below chance" if value.high < chance else "at chance"
            cells.append(f"{value.mean:.3f} [{value.low:.3f}, {value.high:.3f}]")
            cells.append(f"{verdict} ({chance:.2f} [{low:.2f}, {high:.2f}])")
        rows.append(cells)
        if found:
            drawn.append((row, found))
    columns = ["", *(c for kind in kinds for c in (f"{kind} pools", f"{kind}: verdict"))]
    note = (
        "Retrieval among records of one molecular graph, asked with the facts of one kind alone: 3d pools hold conformers"
        " of one stereoisomer, chi pools a molecule and its mirror image. Both directions; 95 % intervals by resampling"
        " molecules and seeds; chance is 1 / pool size with its binomial interval."
    )
    figure = Markup(figures.pools(drawn, kinds)) if drawn and kinds else Markup()
    return Grid("Same-graph pools", columns, rows if kinds else [], note, figure, [bool(r.parts) for r in table.rows])


def kinds(table: Table) -> Grid:
    scopes = sorted({
        m.split("/")[1] for row in table.rows for r in row.results for m in r.metrics
        if m.startswith("test/") and m.endswith("/m2t/R@10") and m.count("/") == 3 and "rerank" not in m
    })  # fmt: skip
    rows = [[row.label, *(cell(row, f"{s}/{d}/R@10") for s in scopes for d in ("m2t", "t2m"))] for row in table.rows]
    columns = ["", *(f"{s} {d} R@10" for s in scopes for d in ("m2t", "t2m"))]
    with_reasons(columns, rows, table.rows)
    note = "Captions cut to the facts of one kind, ranked over all molecules that have such facts."
    return Grid("By kind of fact", columns, rows if scopes else [], note, emphasis=[bool(r.parts) for r in table.rows])

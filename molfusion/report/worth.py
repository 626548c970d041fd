"""Encoders alone, where nothing is fused: what each is worth and what it costs, in one table and one picture."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from molfusion.report import figures
from molfusion.report.axes import Points, axes_of
from molfusion.report.grid import Grid
from molfusion.report.results import Row, Sweep, Table
from molfusion.report.scores import kind, named
from molfusion.report.statistics import interval
from molfusion.report.tables import number

_COSTS = {
    "encoder_parameters": "parameters", "total_steps": "steps", "molecules_per_second": "molecules/s",
    "peak_memory_mb": "memory MB", "total_train_seconds": "training s",
}  # fmt: skip


def worth(sweep: Sweep, where: Points) -> Grid:
    """One row an encoder and table, on `score`; nothing of tables that vary a setting, pretrain, or have a single row.

    Args:
        sweep: whose rows.
        where: they stand on axes, if they do.
    """
    asked = [(table, rows) for table in sweep.tables if len(rows := _compared(table)) > 1 and not axes_of(table, where)]
    cells = [
        [row.label, table.name, _scored(row, table), *(number(row.cost(name)) for name in _COSTS)]
        for table, rows in asked
        for row in rows
    ]
    note = (
        "`score` on the test split with its 95 % interval; costs are means over seeds: parameters of the encoder alone, steps"
        " and training time with those of earlier stages, peak memory. Dotted lines are baselines, which cost seconds. Up and to"
        " the left is better for less."
    )
    drawn = [figures.Worth(table.name, named("score", table), *_points(table, rows)) for table, rows in asked]
    panels = [panel for panel in drawn if panel.points]
    figure = Markup(figures.score_against_cost(panels)) if panels else Markup()
    return Grid("What is each worth, and what does it cost?", ["", "on", "score", *_COSTS.values()], cells, note, figure)


def _compared(table: Table) -> list[Row]:
    if kind(table) == "loss":
        return []
    return [row for row in table.rows if not row.baseline and row.values("score") and row.cost("total_train_seconds")]


def _scored(row: Row, table: Table) -> str:
    found = interval(row, "score", table.targets)
    mean = f"{sum(row.values('score')) / len(row.values('score')):.3f}"
    return mean if found is None else f"{mean} [{found.low:.3f}, {found.high:.3f}]"


def _points(table: Table, rows: Sequence[Row]) -> tuple[list[figures.Point], list[tuple[str, float]]]:
    """Rows that have intervals, and baselines."""
    points = [
        (row.label, found, seconds)
        for row in rows
        if (found := interval(row, "score", table.targets)) is not None and (seconds := row.cost("total_train_seconds"))
    ]
    return points, [(row.label, row.values("score")[0]) for row in table.rows if row.baseline and row.values("score")]

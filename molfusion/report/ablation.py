"""What each axis of a sweep does to the score, drawn from the axes as the sweep file declares them, or else by row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes

from molfusion.report.axes import Axis, Points, axes_of
from molfusion.report.figures import GREY, framed, legend_below, style, svg
from molfusion.report.grid import Grid
from molfusion.report.results import Row, Table
from molfusion.report.statistics import Interval, interval

_WIDE = 20  # from this ratio of the largest value to the smallest on, a logarithmic axis


def ablations(table: Table, where: Points, label: str, metric: str = "score") -> list[Grid]:
    """A figure and a table for each axis: lines over numbers, dots over names; baselines and rows off the axis as lines.

    Args:
        table: whose rows.
        where: they stand on the axes.
        label: of the metric.
        metric: on the test split.
    """
    axes = axes_of(table, where)
    return [_by(axis, table, label, metric) for axis in axes] + [g for a in axes if (g := _tradeoff(a, table)) is not None]


def by_row(table: Table, label: str, metric: str = "score") -> list[Grid]:
    """Of a table without axes, whose rows are what varies: a dot a row, baselines as lines; nothing of less than two rows.

    Args:
        table: whose rows.
        label: of the metric.
        metric: on the test split.
    """
    rows = [(row.label, row) for row in table.rows if not row.baseline and row.values(metric)]
    axis = Axis("row", False, [name for name, _ in rows], {"": rows}, [])
    if len(rows) < 2:
        return []
    made = _by(axis, table, label, metric, "Rows as the sweep names them")
    return [replace(made, columns=["", *made.columns[2:]], rows=[cells[1:] for cells in made.rows])]  # one series, no name


def spread(row: Row, metric: str, table: Table) -> Interval | None:
    """The 95 % interval; of a metric that rows of predictions do not hold the range over seeds."""
    values = row.values(metric)
    found = interval(row, metric, table.targets) if values else None
    return found or (Interval(float(np.mean(values)), min(values), max(values)) if values else None)


def _by(axis: Axis, table: Table, label: str, metric: str, varied: str = "") -> Grid:
    rows = []
    figure, axes = plt.subplots(figsize=(5.6, 3.2 if axis.numeric else 0.34 * len(axis.values) + 1.4), layout="constrained")
    for i, (name, line) in enumerate(axis.series.items()):
        found = [(value, s) for value, row in line if (s := spread(row, metric, table)) is not None]
        rows += [[name or table.name, str(v), f"{s.mean:.3f}", f"[{s.low:.3f}, {s.high:.3f}]"] for v, s in found]
        (_line if axis.numeric else _dots)(axes, i, len(axis.series), axis, found, name)
    _references(axes, axis, table, metric, len(axis.series))
    better = f"{label} (higher is better)"
    if axis.numeric:
        framed(axes, "", axis.name)
        axes.set_ylabel(better, fontsize=8.5)
        _ticks(axes, axis.values)
    else:
        framed(axes, "", better)
        axes.set_yticks(range(len(axis.values)), list(reversed(axis.values)))
    legend_below(figure, axes)
    said = varied or f"`{axis.key}` varied, all else equal"
    note = (
        f"{said}: `{metric}` on the test split with its 95 % interval over molecules and seeds (where predictions do not hold it:"
        " the range over seeds)."
    )
    columns = ["", axis.name, metric, "interval"]
    return Grid(f"By {axis.name}", columns, rows, note, Markup(svg(figure, f"{label} of {table.name} by {axis.name}")))


def _line(axes: Axes, i: int, _: int, axis: Axis, found: Sequence[tuple[Any, Interval]], name: str) -> None:
    colour, dash, mark = style(i)
    x, means = [v for v, _ in found], [s.mean for _, s in found]
    axes.errorbar(x, means, _bars([s for _, s in found]), color=colour, ls=dash, marker=mark, ms=5, lw=1.6, elinewidth=1.4,
                  capsize=2, label=name or None)  # fmt: skip


def _dots(axes: Axes, i: int, of: int, axis: Axis, found: Sequence[tuple[Any, Interval]], name: str) -> None:
    colour, _, mark = style(i)
    shift = (i - (of - 1) / 2) * min(0.18, 0.7 / of)  # several series side by side on a line
    y = [len(axis.values) - 1 - axis.values.index(v) - shift for v, _ in found]
    axes.errorbar([s.mean for _, s in found], y, xerr=_bars([s for _, s in found]), color=colour, ls="", marker=mark, ms=5,
                  elinewidth=1.8, label=name or None)  # fmt: skip


def _bars(found: Sequence[Interval]) -> list[list[float]]:
    """Lengths of the bars below and above."""
    return [[max(0.0, s.mean - s.low) for s in found], [max(0.0, s.high - s.mean) for s in found]]


def _references(axes: Axes, axis: Axis, table: Table, metric: str, drawn: int) -> None:
    """Baselines in grey, rows that have no place on the axis in colours of their own."""
    baselines = [row for row in table.rows if row.baseline]
    for i, row in enumerate([*axis.others, *baselines]):
        values = row.values(metric)
        if values:
            colour = GREY if row.baseline else style(drawn + i)[0]
            dash = (":", "--", "-.", (0, (1, 4)))[(i - len(axis.others)) % 4] if row.baseline else "-"
            across = axes.axhline if axis.numeric else axes.axvline
            across(float(np.mean(values)), color=colour, ls=dash, lw=1.2, label=row.label, zorder=0)


def _ticks(axes: Axes, values: Sequence[float]) -> None:
    """The values that were tried, and no others."""
    if min(values) > 0 and max(values) / min(values) >= _WIDE:
        axes.set_xscale("log")
        axes.minorticks_off()
    axes.set_xticks(list(values), [f"{v:g}" for v in values])


def _tradeoff(axis: Axis, table: Table, metrics: tuple[str, str] = ("Similarity", "Diversity")) -> Grid | None:
    """Likeness to what was asked for against variety, along an axis of numbers."""
    if not axis.numeric or not any(all(row.values(m) for m in metrics) for line in axis.series.values() for _, row in line):
        return None
    figure, axes = plt.subplots(figsize=(5.6, 3.4), layout="constrained")
    rows = []
    for i, (name, line) in enumerate(axis.series.items()):
        at = [(v, *(spread(row, m, table) for m in metrics)) for v, row in line]
        known = [(v, x, y) for v, x, y in at if x is not None and y is not None]
        colour, dash, mark = style(i)
        axes.errorbar([x.mean for _, x, _ in known], [y.mean for *_, y in known], _bars([y for *_, y in known]),
                      _bars([x for _, x, _ in known]), color=colour, ls=dash, marker=mark, ms=5, lw=1.2, elinewidth=1,
                      label=name or None)  # fmt: skip
        for value, x, y in known:
            axes.annotate(f"{value:g}", (x.mean, y.mean), (5, 5), textcoords="offset points", fontsize=8, color=colour)
        rows += [[name or table.name, str(v), f"{x.mean:.3f}", f"{y.mean:.3f}"] for v, x, y in known]
    for i, row in enumerate(r for r in table.rows if r.baseline and all(r.values(m) for m in metrics)):
        axes.plot(*(row.values(m)[0] for m in metrics), "os^D"[i % 4], color=GREY, ls="", label=row.label)
    axes.margins(0.1)
    framed(axes, "", metrics[0])
    axes.set_ylabel(metrics[1])
    legend_below(figure, axes)
    note = (
        f"Along `{axis.key}`, whose value stands beside each point; bars are intervals as above. Up and to the right is"
        " better."
    )
    drawing = Markup(svg(figure, f"{metrics[1]} against {metrics[0]} of {table.name} along {axis.name}"))
    return Grid(f"{metrics[0]} against {metrics[1].lower()} by {axis.name}", ["", axis.name, *metrics], rows, note, drawing)

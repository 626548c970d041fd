"""Figures as SVG text, to stand inside the page."""

from __future__ import annotations

import io
from collections.abc import Sequence

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from molfusion.report.results import Row, Table
from molfusion.report.statistics import Interval, Lift

# Okabe-Ito: told apart by colour-blind readers too.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
_GREY = "#8a8f98"
plt.rcParams.update(
    {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "svg.fonttype": "none", "svg.hashsalt": "m"}
)
plt.rcParams["text.parse_math"] = False  # a $ in a label is a $


def intervals(rows: Sequence[tuple[Row, Interval]], label: str, better: str = "higher") -> str:
    """Dots with 95 % intervals, one line a row; baselines grey."""
    figure, axes = plt.subplots(figsize=(7.2, 0.32 * len(rows) + 0.8))
    for y, (row, found) in enumerate(reversed(rows)):
        colour = _GREY if row.baseline else COLOURS[0] if not row.parts else COLOURS[1]
        axes.plot([found.low, found.high], [y, y], color=colour, lw=2.2, solid_capstyle="round")
        axes.plot(found.mean, y, "o", color=colour, ms=6)
    axes.set_yticks(range(len(rows)), [row.label for row, _ in reversed(rows)])
    axes.set_xlabel(f"{label} ({better} is better)")
    axes.grid(axis="x", color="#e3e5e8", lw=0.7)
    axes.set_axisbelow(True)
    return _svg(figure, f"{label} by row, with 95 % intervals")


def lift_against_cost(points: Sequence[tuple[Lift, float]], label: str) -> str:
    """What each fusion adds (with its interval) against what its training cost, in seconds."""
    figure, axes = plt.subplots(figsize=(7.2, 3.0))
    axes.axhline(0, color="#444", lw=0.8)
    for i, (lift, seconds) in enumerate(points):
        colour = COLOURS[i // 2 % len(COLOURS)]
        mark = "o" if lift.role == "part" else "s"
        found = lift.interval
        axes.plot([seconds, seconds], [found.low, found.high], color=colour, lw=2)
        axes.plot(
            seconds, found.mean, mark, color=colour, ms=7, mfc=colour if lift.role == "part" else "white",
            label=f"{lift.row} over {lift.against}",
        )  # fmt: skip
    axes.set_xlabel("training time of the fusion, seconds (of the fusion's own stage)")
    axes.set_ylabel(f"lift in {label}")
    axes.margins(x=0.25, y=0.25)
    axes.grid(color="#e3e5e8", lw=0.7)
    axes.set_axisbelow(True)
    axes.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return _svg(figure, f"lift in {label} against training time")


def pools(rows: Sequence[tuple[Row, dict[str, tuple[Interval, float]]]], kinds: Sequence[str]) -> str:
    """Accuracy within same-graph pools, one panel a kind; the dashed line is chance."""
    figure, panels = plt.subplots(1, len(kinds), figsize=(7.2, 0.32 * len(rows) + 0.9), sharey=True, squeeze=False)
    for axes, kind in zip(panels[0], kinds, strict=True):
        for y, (_, found) in enumerate(reversed(rows)):
            if kind not in found:
                continue
            value, chance = found[kind]
            sees = value.low > chance
            colour = COLOURS[2] if sees else _GREY
            axes.plot([value.low, value.high], [y, y], color=colour, lw=2.2, solid_capstyle="round")
            axes.plot(value.mean, y, "o", color=colour, ms=6)
            axes.axvline(chance, color="#444", lw=0.8, ls="--")
        axes.set_title(kind, fontsize=9)
        axes.set_xlabel("accuracy in the pool")
    panels[0][0].set_yticks(range(len(rows)), [row.label for row, _ in reversed(rows)])
    return _svg(figure, "accuracy within pools of one molecular graph")


def curves(table: Table) -> str:
    """Training loss and validation score against steps, mean over seeds."""
    figure, panels = plt.subplots(1, 2, figsize=(7.2, 2.8), gridspec_kw={"wspace": 0.25})
    for i, row in enumerate(r for r in table.rows if not r.baseline and r.results):
        colour, style = COLOURS[i % len(COLOURS)], "-" if i < len(COLOURS) else "--"
        for axes, name in zip(panels, ("train/loss", "val/score"), strict=True):
            drawn = _mean_curve(row, name)
            if drawn:
                axes.plot(*drawn, color=colour, ls=style, lw=1.4, label=row.label, marker="." if name[0] == "v" else None)
    _label(panels[0], "training loss (each row's own)")
    _label(panels[1], "validation score")
    if panels[1].lines:
        panels[1].legend(fontsize=7.5, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return _svg(figure, f"learning curves of {table.name}")


def _label(axes: Axes, title: str) -> None:
    axes.set_title(title, fontsize=9)
    axes.set_xlabel("step")
    axes.grid(color="#e3e5e8", lw=0.7)


def _mean_curve(row: Row, name: str) -> tuple[list[int], list[float]] | None:
    found = [r.curve[name] for r in row.results if name in r.curve]
    if not found:
        return None
    steps = sorted(set.intersection(*(set(x) for x, _ in found)))
    lookups = [dict(zip(x, y, strict=True)) for x, y in found]
    return steps, [float(np.mean([look[s] for look in lookups])) for s in steps]


def _svg(figure: Figure, title: str) -> str:
    """The drawing alone, with a title for those who do not see it; labels of any length stand outside the axes."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None, "Title": title})
    plt.close(figure)
    text = buffer.getvalue()
    drawing = text[text.index("<svg") :]
    return drawing.replace("<svg ", '<svg role="img" ', 1)

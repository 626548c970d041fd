"""Figures as SVG text, to stand inside the page: their style, and those of results, lifts and pools."""

from __future__ import annotations

import html
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from molfusion.report.lifts import Lift
from molfusion.report.results import Row
from molfusion.report.statistics import Interval

# Okabe-Ito: told apart by colour-blind readers too.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
GREY = "#8a8f98"
_OUTLINES = {  # of the markers, as a path
    "o": "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z", "s": "M-4-4h8v8h-8z", "^": "M0-5 5 4h-10z", "D": "M0-5 5 0 0 5-5 0z",
    "v": "M0 5 5-4h-10z",
}  # fmt: skip
_MARKS = "".join(_OUTLINES)
_DASHES = ("-", "--", ":", "-.")
_GROUP = re.compile(r'<g id="[A-Za-z0-9.]+_\d+"')
plt.rcParams.update(
    {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "svg.fonttype": "none", "svg.hashsalt": "m"}
)
plt.rcParams["text.parse_math"] = False  # a $ in a label is a $


def style(index: int) -> tuple[str, str, str]:
    """Colour, dashes and marker of the so-manyth line: 8 colours, then the same with other dashes and markers."""
    turn, colour = divmod(index, len(COLOURS))
    return COLOURS[colour], _DASHES[turn % len(_DASHES)], _MARKS[turn % len(_MARKS)]


def intervals(rows: Sequence[tuple[Row, Interval]], label: str, better: str = "higher") -> str:
    """Dots with 95 % intervals, one line a row; a baseline is grey, and its mean a line through all rows."""
    figure, axes = plt.subplots(figsize=(6, 0.32 * len(rows) + 0.8))
    for y, (row, found) in enumerate(reversed(rows)):
        colour = GREY if row.baseline else COLOURS[0] if not row.parts else COLOURS[1]
        if row.baseline:
            axes.axvline(found.mean, color=GREY, lw=0.8, ls=":", zorder=0)
        axes.plot([found.low, found.high], [y, y], color=colour, lw=2.2, solid_capstyle="round")
        axes.plot(found.mean, y, "o", color=colour, ms=6)
    axes.set_yticks(range(len(rows)), [row.label for row, _ in reversed(rows)])
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_xlabel(f"{label} ({better} is better)")
    axes.grid(axis="x", color="#e3e5e8", lw=0.7)
    axes.set_axisbelow(True)
    return svg(figure, f"{label} by row, with 95 % intervals")


@dataclass(frozen=True)
class Panel:
    """One table's lifts, each with the fusion's training time over that of the row it is compared with."""

    title: str
    label: str  # of the score
    points: Sequence[tuple[Lift, float]]


def lift_against_cost(panels: Sequence[Panel]) -> str:
    """What each fusion adds (with its interval) against what its training cost; a panel a table."""
    names = list(dict.fromkeys(lift.row for panel in panels for lift, _ in panel.points))
    drawings = []
    for panel in panels:
        figure, axes = _panel(panel.title, f"lift in {panel.label}", "training time over that of the row compared with")
        axes.axhline(0, color="#444", lw=0.8)
        axes.axvline(1, color="#444", lw=0.8, ls=":")
        for lift, times in panel.points:
            colour, _, mark = style(names.index(lift.row))
            axes.plot([times, times], [lift.interval.low, lift.interval.high], color=colour, lw=1.8, solid_capstyle="round")
            filled = colour if lift.role == "part" else "white"
            axes.plot(times, lift.interval.mean, mark, color=colour, ms=7, mfc=filled)
        _logarithmic(axes, [0.8, 2.0, *(times for _, times in panel.points)], "× {:g}")
        drawings.append(svg(figure, f"{panel.title}: lift in {panel.label} against training time, with 95 % intervals"))
    return _side_by_side(drawings, names)


Point = tuple[str, Interval, float]  # a row, its score, seconds of training


@dataclass(frozen=True)
class Worth:
    """One table's rows, and the baselines that they are read beside."""

    title: str
    label: str  # of the score
    points: Sequence[Point]
    baselines: Sequence[tuple[str, float]]


def score_against_cost(panels: Sequence[Worth]) -> str:
    """What each row reaches (with its interval) against what its training cost; a panel a table."""
    names = list(dict.fromkeys(label for panel in panels for label, _, _ in panel.points))
    drawings = []
    for panel in panels:
        figure, axes = _panel(panel.title, panel.label, "training time")
        for label, value in panel.baselines:
            axes.axhline(value, color=GREY, lw=0.8, ls=":", zorder=0)
            axes.annotate(label, (1.01, value), xycoords=("axes fraction", "data"), va="center", color=GREY, fontsize=8)
        for label, found, seconds in panel.points:
            colour, _, mark = style(names.index(label))
            axes.plot([seconds, seconds], [found.low, found.high], color=colour, lw=1.8, solid_capstyle="round")
            axes.plot(seconds, found.mean, mark, color=colour, ms=7)
        _logarithmic(axes, [seconds for _, _, seconds in panel.points], "{:g} s")
        drawings.append(svg(figure, f"{panel.title}: {panel.label} against training time, with 95 % intervals"))
    return _side_by_side(drawings, names)


def _panel(title: str, up: str, across: str) -> tuple[Figure, Axes]:
    """As wide as a phone: the page puts as many beside each other as fit."""
    figure, axes = plt.subplots(figsize=(3.3, 2.6), layout="constrained")
    axes.set_title(f"{title}\n{up}", fontsize=9, loc="left")
    axes.set_xlabel(across, fontsize=8)
    return figure, axes


def _side_by_side(drawings: Sequence[str], names: Sequence[str]) -> str:
    """Panels, and last what their colours and markers mean, as text that wraps."""
    listed = ""
    for index, name in enumerate(names):
        colour, _, mark = style(index)
        path = f'<path fill="{colour}" d="{_OUTLINES[mark]}"/>'
        drawn = f'<svg aria-hidden="true" width="12" height="12" viewBox="-6 -6 12 12">{path}</svg>'
        listed += f"<li>{drawn} {html.escape(name, quote=False)}</li>"
    return f'<div class="panels">{"".join(drawings)}<ul>{listed}</ul></div>'


def _logarithmic(axes: Axes, values: Sequence[float], told: str) -> None:
    """From below the smallest to beyond the largest, with plain numbers; a grid behind."""
    axes.set_xscale("log")
    axes.set_xlim(min(values) / 1.25, max(values) * 1.25)
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: told.format(x)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.margins(y=0.15)
    axes.grid(color="#e3e5e8", lw=0.7)
    axes.set_axisbelow(True)


def pools(labels: Sequence[str], found: dict[str, dict[str, tuple[Interval, float, bool]]]) -> str:
    """Accuracy within same-graph pools, one panel a kind; the dashed line is chance.

    Args:
        labels: of all rows, in order.
        found: by kind and label, accuracy, chance, and whether the two are told apart (in colour).
    """
    figure, panels = plt.subplots(1, len(found), figsize=(6, 0.32 * len(labels) + 0.9), sharey=True, squeeze=False)
    for axes, (kind, rows) in zip(panels[0], found.items(), strict=True):
        for y, label in enumerate(reversed(labels)):
            if label not in rows:
                continue
            value, chance, apart = rows[label]
            colour = COLOURS[2] if apart else GREY
            axes.plot([value.low, value.high], [y, y], color=colour, lw=2.2, solid_capstyle="round")
            axes.plot(value.mean, y, "o", color=colour, ms=6)
            axes.axvline(chance, color="#444", lw=0.8, ls="--")
        axes.set_title(kind, fontsize=9)
        axes.set_xlabel("accuracy in the pool")
    panels[0][0].set_yticks(range(len(labels)), list(reversed(labels)))
    return svg(figure, "accuracy within pools of one molecular graph")


def framed(axes: Axes, title: str, below: str) -> None:
    """Title, name of the horizontal axis, a grid behind."""
    axes.set_title(title, fontsize=9)
    axes.set_xlabel(below)
    axes.grid(color="#e3e5e8", lw=0.7)
    axes.set_axisbelow(True)


def legend_below(figure: Figure, axes: Axes, columns: int = 2) -> None:
    """Under the drawing, where it takes no width from it."""
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="upper center", bbox_to_anchor=(0.5, 0), ncols=columns, frameon=False, fontsize=8.5)


def svg(figure: Figure, title: str) -> str:
    """The drawing alone, with a title for those who do not see it; labels of any length stand outside the axes."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None, "Title": title})
    plt.close(figure)
    text = buffer.getvalue()
    drawing = text[text.index("<svg") :].replace("<svg ", '<svg role="img" ', 1)
    return _GROUP.sub("<g", drawing)  # names that every figure has, and nothing refers to

"""Learning curves: what validation said while a table's rows trained."""

from __future__ import annotations

import math

import matplotlib.pyplot as plt
import numpy as np
from markupsafe import Markup

from molfusion.report.figures import framed, legend_below, style, svg
from molfusion.report.grid import Grid
from molfusion.report.resampling import Matrix
from molfusion.report.results import Result, Row, Table

_SHOWN = {"val/score": "validation score", "train/loss": "training loss (each row's own)"}


def curves(table: Table) -> Grid:
    """Validation score and training loss against steps: a line a row, the mean over seeds in the band of all of them."""
    figure, panels = plt.subplots(2, 1, figsize=(5.6, 5.2), layout="constrained", sharex=True)
    rows = [row for row in table.rows if not row.baseline and row.results]
    drawn = False
    for axes, (name, title) in zip(panels, _SHOWN.items(), strict=True):
        for i, row in enumerate(rows):
            colour, dash, _ = style(i)
            steps, values = over_seeds(row, name)
            if not steps:
                continue
            drawn = True
            mark = "." if name == "val/score" else None
            axes.plot(steps, values.mean(0), color=colour, ls=dash, lw=1.4, label=row.label, marker=mark)
            if len(values) > 1:
                axes.fill_between(steps, values.min(0), values.max(0), color=colour, alpha=0.15, lw=0)
        framed(axes, title, "")
    panels[-1].set_xlabel("step")
    legend_below(figure, panels[0])
    if not drawn:
        plt.close(figure)
        return Grid("Learning curves", [], [])
    note = (
        "As validation saw it during training, by which the checkpoint was chosen; mean over seeds, in a band from the lowest"
        " to the highest seed."
    )
    if any("val/Validity" in r.metrics for row in rows for r in row.results):
        note += " Where molecules are made, that is minus the loss: molecules are made, and scored, after training only."
    return Grid("Learning curves", [], [], note, Markup(svg(figure, f"learning curves of {table.name}")))


def over_seeds(row: Row, name: str) -> tuple[list[int], Matrix]:
    """Steps that all seeds have logged, and the values there, [seeds, steps]."""
    found = [kept for r in row.results if (kept := _training(r, name))]
    if not found:
        return [], np.zeros((0, 0))
    steps = sorted(set.intersection(*(set(values) for values in found)))
    return steps, np.array([[values[s] for s in steps] for values in found])


def _training(result: Result, name: str) -> dict[int, float]:
    """Without the chosen checkpoint's validation after training, which is logged as one more step."""
    ends = [steps[0] for logged, (steps, _) in result.curve.items() if logged.startswith("test/")]
    end = min(ends, default=math.inf)
    steps, values = result.curve.get(name, ([], []))
    return {s: v for s, v in zip(steps, values, strict=True) if s < end}

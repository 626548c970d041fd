"""A table as text: the one source of the page, of Markdown and of CSV."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from pathlib import Path

from markupsafe import Markup

from molfusion.paths import atomic


@dataclass
class Grid:
    """Rows of cells under columns, with a note and perhaps a figure, or (without rows) markup of its own."""

    title: str
    columns: list[str]
    rows: list[list[str]]
    note: str = ""
    figure: Markup = field(default_factory=Markup)
    emphasis: list[bool] = field(default_factory=list)  # rows of fusions
    body: Markup = field(default_factory=Markup)


def as_markdown(grid: Grid) -> str:
    """A pipe table."""
    head, *body = ["| " + " | ".join(map(plain, row)) + " |" for row in [grid.columns, *grid.rows]]
    return "\n".join([head, "|" + " --- |" * len(grid.columns), *body])


def as_csv(grid: Grid, path: Path) -> None:
    """Columns and rows; the note stays on the page."""
    with atomic(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([grid.columns, *grid.rows])


_MARKS = str.maketrans({"\\": "\\\\", "|": "\\|", "`": "\\`", "&": "&amp;", "<": "&lt;"})


def plain(text: str) -> str:
    """Text in one line of Markdown that shows as it is: no cell ends in it, no markup, link or picture begins."""
    return " ".join(text.translate(_MARKS).replace("](", "]\\(").split())

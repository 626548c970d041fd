"""The report as Markdown: the tables of the page, without its figures."""

from __future__ import annotations

from molfusion.report.content import Content
from molfusion.report.grid import Grid, as_markdown, plain


def as_text(shown: Content) -> str:
    """Headings, tables and their notes, an empty line between any two."""
    sweep = shown.sweep
    command = " ".join(sweep.command.replace("`", "'").split())
    seeds = f"{'seeds' if len(sweep.seeds) > 1 else 'seed'} {', '.join(map(str, sweep.seeds))}"
    parts = [f"# {plain(sweep.title)}", plain(sweep.about), f"`{command}`, {seeds}.", *_titled(shown.first, "##")]
    for table, grids in shown.sections:
        parts += [f"## {plain(table.name)}", plain(table.about)]
        parts += [part for grid in grids for part in _titled(grid, "###")]
    parts += _titled(shown.missing, "##")
    parts += ["## Provenance", *(part for grid in shown.origin for part in _titled(grid, "###"))]
    parts += _titled(shown.commands, "##")
    return "\n\n".join(part for part in parts if part) + "\n"


def _titled(grid: Grid, level: str) -> list[str]:
    return [f"{level} {grid.title}", as_markdown(grid), grid.note] if grid.rows else []

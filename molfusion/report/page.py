"""The report as files: one page, and the same tables as Markdown and CSV."""

from __future__ import annotations

import re
from pathlib import Path

from jinja2 import Environment, PackageLoader
from markupsafe import Markup, escape

from molfusion.paths import atomic
from molfusion.report.content import Content, content
from molfusion.report.grid import as_csv
from molfusion.report.markdown import as_text
from molfusion.sweep.plan import slug


def write(folder: Path) -> Path:
    """report.html, report.md and tables/*.csv from a sweep's folder; the page's path."""
    shown = content(folder)
    with atomic(folder / "report.html") as path:
        path.write_text(_page(shown), encoding="utf-8")
    with atomic(folder / "report.md") as path:
        path.write_text(as_text(shown), encoding="utf-8")
    files = {_file(grid.title): grid for grid in (shown.first, shown.missing, *shown.origin, shown.commands)}
    files |= {f"{slug(table.name)}-{_file(grid.title)}": grid for table, grids in shown.sections for grid in grids}
    for name, grid in files.items():
        if grid.rows:
            as_csv(grid, folder / "tables" / f"{name}.csv")
    return folder / "report.html"


def _page(shown: Content) -> str:
    environment = Environment(loader=PackageLoader("molfusion.report", "."), autoescape=True, trim_blocks=True)
    environment.filters |= {"slug": slug, "code": _code, "ranged": _ranged}
    return environment.get_template("page.html.j2").render(vars(shown))


def _code(text: str) -> Markup:
    """What stands between backticks as code, everything escaped."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def _ranged(cell: str) -> str:
    """A number with its interval, which may stand below it: a table of such is half as wide. No line ends in a ×."""
    found = re.fullmatch(r"([-+×]? ?[\d.]+(?: ± [\d.]+)?) (\[[-+\d.]+, [-+\d.]+\])", cell)
    return Markup('{} <span class="range">{}</span>').format(*found.groups()) if found else cell.replace("× ", "×\u00a0")


def _file(title: str) -> str:
    return slug(re.sub(r"[ ,?]+", "-", title.lower()).strip("-"))

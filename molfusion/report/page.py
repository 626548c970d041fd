"""The report: what to show, in which order; the same numbers as page, Markdown and CSV."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, PackageLoader
from markupsafe import Markup, escape

from molfusion.paths import atomic
from molfusion.report import figures
from molfusion.report.ablation import ablations, by_row
from molfusion.report.answers import answers
from molfusion.report.axes import Points, points
from molfusion.report.curves import curves
from molfusion.report.gallery import gallery
from molfusion.report.grid import Grid, as_csv, as_markdown, plain
from molfusion.report.grounded import grounded
from molfusion.report.latent import latent
from molfusion.report.lifts import lifts
from molfusion.report.origin import commands, missing, origin
from molfusion.report.paired import which_differ
from molfusion.report.pools import kinds, pools
from molfusion.report.published import beside
from molfusion.report.ratings import rated
from molfusion.report.reliance import is_used
from molfusion.report.results import Sweep, Table, load
from molfusion.report.same_texts import on_same_texts
from molfusion.report.scores import kind, named
from molfusion.report.tables import cost, lift, results
from molfusion.report.worth import worth
from molfusion.sweep.plan import slug

Sections = Sequence[tuple[Table, list[Grid]]]


def write(folder: Path) -> Path:
    """report.html, report.md and tables/*.csv from a sweep's folder; the page's path."""
    sweep, where = load(folder), points(folder)
    sweep.tables = [on_same_texts(table) for table in sweep.tables]
    answer = answers(sweep)
    first = answer if answer.rows else worth(sweep, where)
    sections = [(table, _parts(table, where)) for table in sweep.tables]
    environment = Environment(loader=PackageLoader("molfusion.report", "."), autoescape=True, trim_blocks=True)
    environment.filters |= {"slug": slug, "code": _code, "ranged": _ranged}
    page = environment.get_template("page.html.j2").render(
        sweep=sweep, sections=sections, first=first, overview=_overview(sweep), missing=missing(sweep),
        origin=origin(sweep), commands=commands(sweep),
    )  # fmt: skip
    with atomic(folder / "report.html") as path:
        path.write_text(page, encoding="utf-8")
    with atomic(folder / "report.md") as path:
        path.write_text(_markdown(sweep, first, sections), encoding="utf-8")
    for table, grids in sections:
        for grid in grids:
            if grid.rows:
                as_csv(grid, folder / "tables" / f"{slug(table.name)}-{_file(grid.title)}.csv")
    return folder / "report.html"


def _parts(table: Table, where: Points) -> list[Grid]:
    """One table's part of the page, from the answer to the details."""
    made = [results(table)]
    if kind(table) == "retrieval":
        made += [pools(table), kinds(table)]
    made += [lift(table), which_differ(table), is_used(table), grounded(table)]
    label = named("score", table)
    # Without axes the rows are what varies: the figure of the results, where its metrics have intervals to draw.
    made += ablations(table, where, label) or ([] if made[0].figure else by_row(table, label))
    # Examples: what models gave, and what people said of it.
    made += [gallery(table), rated(table), latent(table)]
    made += [curves(table), beside(table), cost(table)]
    return [grid for grid in made if grid.rows or grid.figure or grid.body]


def _overview(sweep: Sweep) -> Markup:
    """One picture: lift against cost, a panel for each table that has fusions."""
    panels = []
    for table in sweep.tables:
        found = [(made, made.seconds.mean) for made in lifts(table, "score") if made.seconds]
        if found:
            panels.append(figures.Panel(table.name, named("score", table), found))
    return Markup(figures.lift_against_cost(panels)) if panels else Markup()


def _markdown(sweep: Sweep, first: Grid, sections: Sections) -> str:
    command = sweep.command.replace("`", "'")
    lines = [f"# {plain(sweep.title)}", "", plain(sweep.about), "", f"`{' '.join(command.split())}`", ""]
    if first.rows:
        lines += [f"## {first.title}", "", as_markdown(first), "", first.note, ""]
    for table, grids in sections:
        lines += [f"## {plain(table.name)}", "", plain(table.about), ""]
        for grid in grids:
            if grid.rows:
                lines += [f"### {grid.title}", "", as_markdown(grid), "", grid.note, ""]
    if (lost := missing(sweep)).rows:
        lines += [f"## {lost.title}", "", as_markdown(lost), ""]
    return "\n".join(lines)


def _code(text: str) -> Markup:
    """What stands between backticks as code, everything escaped."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def _ranged(cell: str) -> str:
    """A number with its interval, which may stand below it: a table of such is half as wide. No line ends in a ×."""
    found = re.fullmatch(r"([-+×]? ?[\d.]+(?: ± [\d.]+)?) (\[[-+\d.]+, [-+\d.]+\])", cell)
    return Markup('{} <span class="range">{}</span>').format(*found.groups()) if found else cell.replace("× ", "×\u00a0")


def _file(title: str) -> str:
    return slug(title.lower().replace(" ", "-"))

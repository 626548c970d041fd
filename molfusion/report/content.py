"""What a report shows, in which order, whatever it is written as."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from molfusion.report import figures
from molfusion.report.ablation import ablations, by_row
from molfusion.report.answers import answers
from molfusion.report.axes import Points, points
from molfusion.report.curves import curves
from molfusion.report.gallery import gallery
from molfusion.report.grid import Grid
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


@dataclass(frozen=True)
class Content:
    """All parts of a report; a grid without rows is not shown."""

    sweep: Sweep
    first: Grid  # of all tables
    overview: Markup  # above it
    sections: Sequence[tuple[Table, list[Grid]]]
    missing: Grid
    origin: Sequence[Grid]
    commands: Grid


def content(folder: Path) -> Content:
    """Of a sweep's folder."""
    sweep, where = load(folder), points(folder)
    sweep.tables = [on_same_texts(table) for table in sweep.tables]
    answer = answers(sweep)
    return Content(
        sweep=sweep,
        first=answer if answer.rows else worth(sweep, where),
        overview=_overview(sweep),
        sections=[(table, _parts(table, where)) for table in sweep.tables],
        missing=missing(sweep),
        origin=origin(sweep),
        commands=commands(sweep),
    )


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

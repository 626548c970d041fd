"""The report: what to show, in which order; the same numbers as page, Markdown and CSV."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from molfusion.paths import atomic
from molfusion.provenance import source_digest
from molfusion.report import figures
from molfusion.report.answers import answers
from molfusion.report.grid import Grid, as_csv, as_markdown, plain
from molfusion.report.grounded import grounded
from molfusion.report.paired import which_differ
from molfusion.report.published import beside
from molfusion.report.reliance import is_used
from molfusion.report.results import Row, Sweep, Table, load
from molfusion.report.statistics import Interval, chance_interval, interval, lifts
from molfusion.sweep.plan import slug

_PRECISION = 3


def write(folder: Path) -> Path:
    """report.html, report.md and tables/*.csv from a sweep's folder; the page's path."""
    sweep = load(folder)
    sections = [(table, _grids(table)) for table in sweep.tables]
    environment = Environment(loader=PackageLoader("molfusion.report", "."), autoescape=True, trim_blocks=True)
    page = environment.get_template("page.html.j2").render(
        sweep=sweep, sections=sections, answers=answers(sweep), overview=_overview(sweep), missing=_missing(sweep),
        origin=_origin(sweep), commands=_commands(sweep),
    )  # fmt: skip
    with atomic(folder / "report.html") as path:
        path.write_text(page, encoding="utf-8")
    with atomic(folder / "report.md") as path:
        path.write_text(_markdown(sweep, sections), encoding="utf-8")
    for table, grids in sections:
        for grid in grids:
            as_csv(grid, folder / "tables" / f"{slug(table.name)}-{_file(grid.title)}.csv")
    return folder / "report.html"


# -- the parts of one table --------------------------------------------------------------------------


def _grids(table: Table) -> list[Grid]:
    grids = [_main(table), _lifts(table), which_differ(table), is_used(table), grounded(table), beside(table), _cost(table)]
    if table.task == "Retrieval":
        grids[1:1] = [_pools(table), _kinds(table)]
    return [g for g in grids if g.rows]


def _main(table: Table) -> Grid:
    metrics = table.headline or _all_metrics(table)
    rows = [[row.label, *(_cell(row, metric) for metric in metrics)] for row in table.rows]
    units = {t["name"]: t["unit"] for t in table.targets}
    columns = ["", *(_with_unit(m, units) for m in metrics)]
    if chance := table.row("(chance)"):
        columns.append("score over chance")
        for cells, row in zip(rows, table.rows, strict=True):
            cells.append(_over_chance(row, chance, table))
    first = next((m for m in reversed(metrics) if any(interval(r, m, table.targets) for r in table.rows if r.results)), None)
    figure = Markup()
    if first:
        found = [(r, i) for r in table.rows if r.results and (i := interval(r, first, table.targets)) is not None]
        figure = Markup(figures.intervals(found, _named(first, table)))
    note = (
        f"Test split, mean ± s.d. over seeds; baselines in brackets have no seed. {_meaning(table)}"
        " Checkpoints and settings were chosen on validation."
    )
    return Grid("Results", columns, rows, note, figure, [bool(r.parts) for r in table.rows])


def _over_chance(row: Row, chance: Row, table: Table) -> str:
    """How many times chance, with the interval."""
    found = interval(row, "score", table.targets) if row.results else None
    guess = chance.values("score")
    if found is None or not guess:
        return "n/a"
    return "× " + f"{found.mean / guess[0]:.1f} [{found.low / guess[0]:.1f}, {found.high / guess[0]:.1f}]"


def _pools(table: Table) -> Grid:
    kinds = sorted({
        m.split("/")[1] for row in table.rows for r in row.results for m in r.metrics
        if m.startswith("test/") and m.endswith("pool_accuracy")
    })  # fmt: skip
    rows, drawn = [], []
    for row in table.rows:
        found: dict[str, tuple[Interval, float]] = {}
        cells = [row.label]
        for kind in kinds:
            value = interval(row, f"{kind}/pool_accuracy", table.targets) if row.results else None
            if value is None:
                cells += ["n/a", ""]
                continue
            chance = float(np.mean(row.values(f"{kind}/m2t/pool_chance")))
            asked = row.results[0].predictions
            low, high = chance_interval(chance, int(((asked["pool"] == "pool") & (asked["scope"] == kind)).sum()))
            found[kind] = (value, chance)
            verdict = "above chance" if value.low > chance else "below chance" if value.high < chance else "at chance"
            cells.append(f"{value.mean:.3f} [{value.low:.3f}, {value.high:.3f}]")
            cells.append(f"{verdict} ({chance:.2f} [{low:.2f}, {high:.2f}])")
        rows.append(cells)
        if found:
            drawn.append((row, found))
    columns = ["", *(c for kind in kinds for c in (f"{kind} pools", f"{kind}: verdict"))]
    note = (
        "Retrieval among records of one molecular graph, asked with the facts of one kind alone: 3d pools hold conformers"
        " of one stereoisomer, chi pools a molecule and its mirror image. Both directions; 95 % intervals by resampling"
        " molecules and seeds; chance is 1 / pool size with its binomial interval."
    )
    figure = Markup(figures.pools(drawn, kinds)) if drawn and kinds else Markup()
    return Grid("Same-graph pools", columns, rows if kinds else [], note, figure, [bool(r.parts) for r in table.rows])


def _kinds(table: Table) -> Grid:
    scopes = sorted({
        m.split("/")[1] for row in table.rows for r in row.results for m in r.metrics
        if m.startswith("test/") and m.endswith("/m2t/R@10") and m.count("/") == 3 and "rerank" not in m
    })  # fmt: skip
    rows = [[row.label, *(_cell(row, f"{s}/{d}/R@10") for s in scopes for d in ("m2t", "t2m"))] for row in table.rows]
    columns = ["", *(f"{s} {d} R@10" for s in scopes for d in ("m2t", "t2m"))]
    note = "Captions cut to the facts of one kind, ranked over all molecules that have such facts."
    return Grid("By kind of fact", columns, rows if scopes else [], note, emphasis=[bool(r.parts) for r in table.rows])


def _lifts(table: Table) -> Grid:
    metrics = table.headline or ["score"]
    found = [lift for metric in metrics for lift in lifts(table, metric)]
    rows = [
        [
            lift.row, lift.metric, f"{lift.against} ({'best part' if lift.role == 'part' else 'matched control'})",
            f"{lift.interval.mean:+.{_PRECISION}f} [{lift.interval.low:+.{_PRECISION}f}, {lift.interval.high:+.{_PRECISION}f}]",
            lift.interval.verdict, _times(lift.parameters), _times(lift.steps),
        ]
        for lift in found
    ]  # fmt: skip
    note = (
        "Fused minus unfused, paired by seed and molecule; above 0 the fusion is better (errors are counted negative)."
        " The best part was chosen on validation. 95 % intervals by resampling molecules and seeds."
    )
    columns = ["fusion", "metric", "against", "lift", "", "parameters", "steps"]
    return Grid("Lift", columns, rows, note)


def _cost(table: Table) -> Grid:
    names = ["parameters", "encoder_parameters", "trained_parameters", "steps", "total_steps", "molecules_per_second",
             "train_seconds", "wall_seconds", "peak_memory_mb"]  # fmt: skip
    rows = [
        [row.label, *(_number(row.cost(name)) for name in names), _padding(row)]
        for row in table.rows
        if not row.baseline
    ]
    columns = ["", "parameters (task)", "of the encoder", "trained", "steps", "with earlier stages", "molecules/s",
               "training s", "wall s", "peak memory MB", "padding"]  # fmt: skip
    note = "Means over seeds, each run on its own share of the machine named below."
    return Grid("Cost", columns, rows, note, Markup(figures.curves(table)))


# -- the whole ---------------------------------------------------------------------------------------


def _overview(sweep: Sweep) -> Markup:
    """One picture: lift against cost of the first table that has fusions."""
    for table in sweep.tables:
        scored = lifts(table, "score")
        if scored:
            points = [(x, row.cost("train_seconds") or 0.0) for x in scored if (row := table.row(x.row)) is not None]
            return Markup(figures.lift_against_cost(points, _named("score", table)))
    return Markup()


def _missing(sweep: Sweep) -> list[list[str]]:
    return [
        [table.name, row.label, str(seed), status, reason]
        for table in sweep.tables
        for row in table.rows
        for seed, status, reason in row.missing
    ]


def _origin(sweep: Sweep) -> dict[str, Any]:
    """Versions, machine, data and their licences, and rows that other code made."""
    records = [r.record for t in sweep.tables for row in t.rows for r in row.results if "data" in r.record]
    now = source_digest()
    stale = sorted({
        f"{t.name}/{row.label}" for t in sweep.tables for row in t.rows for r in row.results
        if r.record.get("provenance", {}).get("source_digest", now) != now
    })  # fmt: skip
    cards = {(r["data"]["card"], r["data"]["card_digest"]): r["data"] for r in records}
    made = records[0]["provenance"] if records else {}
    return {"made": made, "cards": [cards[key] for key in sorted(cards)], "stale": stale}


def _commands(sweep: Sweep) -> list[tuple[str, str]]:
    return [
        (
            f"{t.name} / {row.label} / seed {r.seed}",
            f"molfusion fit --config {shlex.quote(str(r.folder / 'config.yaml'))} --run NEW_FOLDER",
        )
        for t in sweep.tables
        for row in t.rows
        for r in row.results[:1]
        if not row.baseline
    ]


def _markdown(sweep: Sweep, sections: Sequence[tuple[Table, list[Grid]]]) -> str:
    command = sweep.command.replace("`", "'")
    lines = [f"# {plain(sweep.title)}", "", plain(sweep.about), "", f"`{' '.join(command.split())}`", ""]
    if (answer := answers(sweep)).rows:
        lines += [f"## {answer.title}", "", as_markdown(answer), "", answer.note, ""]
    for table, grids in sections:
        lines += [f"## {plain(table.name)}", "", plain(table.about), ""]
        for grid in grids:
            lines += [f"### {grid.title}", "", as_markdown(grid), "", grid.note, ""]
    missing = _missing(sweep)
    if missing:
        lines += ["## Not run", "", as_markdown(Grid("", ["table", "row", "seed", "status", "reason"], missing)), ""]
    return "\n".join(lines)


# -- cells -------------------------------------------------------------------------------------------


def _cell(row: Row, metric: str) -> str:
    values = row.values(metric)
    if not values:
        return "n/a" if row.missing else ""
    text = f"{np.mean(values):.{_PRECISION}f}"
    return text if row.baseline or len(values) < 2 else f"{text} ± {np.std(values, ddof=1):.{_PRECISION}f}"


def _number(value: float | None) -> str:
    return "n/a" if value is None else f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _padding(row: Row) -> str:
    shares = [r.record["cost"]["padding"] for r in row.results if r.record.get("cost")]
    return ", ".join(f"{view.removesuffix('View').lower()} {share:.0%}" for view, share in (shares[0] if shares else {}).items())


def _times(value: float | None) -> str:
    return "" if value is None else f"× {value:.2f}"


def _named(metric: str, table: Table) -> str:
    if metric != "score":
        return metric
    return "mean reciprocal rank" if table.task == "Retrieval" else "score (minus error in training spreads)"


def _with_unit(metric: str, units: dict[str, str]) -> str:
    target, _, name = metric.rpartition("/")
    return f"{metric} ({units[target]})" if name in {"MAE", "RMSE"} and units.get(target) else metric


def _meaning(table: Table) -> str:
    if table.task == "Retrieval":
        pool = next((v[0] for row in table.rows if (v := row.values("m2t/pool"))), 0)
        return f"{pool:.0f} molecules are ranked for every caption (t2m) and back (m2t); `score` is the MRR of both."
    if any(row.values("loss") and row.values("score") == [-v for v in row.values("loss")] for row in table.rows):
        return "`score` is minus `loss`, the weighted sum of the losses, here of held-out molecules."
    if table.targets and all(t["kind"] == "classification" for t in table.targets):
        return "`score` is the mean ROC-AUC."
    return "`score` is minus the mean absolute error in units of each target's spread in training."


def _all_metrics(table: Table) -> list[str]:
    found = {m for row in table.rows for r in row.results for m in r.metrics if m.startswith("test/")}
    return sorted(m.removeprefix("test/") for m in found)


def _file(title: str) -> str:
    return title.lower().replace(" ", "-")

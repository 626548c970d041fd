"""The tables that every task has: results, lift, cost."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup

from molfusion.report import figures
from molfusion.report.grid import Grid
from molfusion.report.lifts import Lift, lifts, times
from molfusion.report.results import Row, Table
from molfusion.report.same_texts import counted
from molfusion.report.scores import meaning, named, no_likelihoods, sign
from molfusion.report.statistics import interval

_PRECISION = 3


def results(table: Table) -> Grid:
    metrics = table.headline or _all_metrics(table)
    rows = [[row.label, *(with_interval(row, metric, table) for metric in metrics)] for row in table.rows]
    units = {t["name"]: t["unit"] for t in table.targets}
    columns = ["", *(_with_unit(m, units) for m in metrics)]
    if chance := table.row("(chance)"):
        columns.append("score over chance")
        for cells, row in zip(rows, table.rows, strict=True):
            cells.append(_over_chance(row, chance, table))
    with_reasons(columns, rows, table.rows)
    first = next((m for m in reversed(metrics) if any(interval(r, m, table.targets) for r in table.rows if r.results)), None)
    figure = Markup()
    if first:
        found = [(r, i) for r in table.rows if r.results and (i := interval(r, first, table.targets)) is not None]
        figure = Markup(figures.intervals(found, named(first, table), "higher" if sign(first) > 0 else "lower"))
    note = (
        f"Test split: mean ± s.d. over seeds, [95 % interval over molecules and seeds]; baselines, (in brackets), have no seed."
        f" {meaning(table)}"
        " Checkpoints and settings were chosen on validation."
    )
    note = " ".join([note, *filter(None, [counted(table), _blank(table, metrics)])])
    return Grid("Results", columns, rows, note, figure, [bool(r.parts) for r in table.rows])


def _blank(table: Table, metrics: list[str]) -> str:
    """Why rows that ran have `n/a`."""
    lacking = [m for m in metrics if any(r.results and not r.values(m) for r in table.rows)]
    why = no_likelihoods(table)
    others = set(lacking) - ({"loss", "score"} if why else set())
    return " ".join(filter(None, [why, "`n/a` of a row that ran: it gives no such number." if others else ""]))


def _over_chance(row: Row, chance: Row, table: Table) -> str:
    """How many times chance, with the interval."""
    found = interval(row, "score", table.targets) if row.results else None
    guess = chance.values("score")
    if not row.results:
        return "n/a"
    if found is None or not guess:
        return f"n/a: {'no test predictions of a score' if guess else 'chance has no score'}"
    return "× " + f"{found.mean / guess[0]:.1f} [{found.low / guess[0]:.1f}, {found.high / guess[0]:.1f}]"


def lift(table: Table) -> Grid:
    metrics = table.headline or ["score"]
    found = [lift for metric in metrics for lift in lifts(table, metric)]
    rows = [
        [
            lift.row, lift.metric, f"{lift.against} ({_role(lift)})", lift.interval.signed, lift.verdict, times(lift.parameters),
            times(lift.steps),
        ]
        for lift in found
    ]  # fmt: skip
    note = (
        "Fused minus unfused, paired by seed and molecule; above 0 the fusion is better (errors are counted negative)."
        " The best part was chosen on validation; a matched control was trained for as many steps, earlier stages included."
        " 95 % intervals by resampling molecules and seeds. On `score` and `loss`, better or worse only where a sign-flip test"
        " that is corrected for the table's pairs says so too (`Which rows differ`); on other metrics by the interval alone."
    )
    columns = ["fusion", "metric", "against", "lift", "verdict", "parameters", "steps"]
    return Grid("Lift", columns, rows, note)


def _role(lift: Lift) -> str:
    return "best part" if lift.role == "part" else "matched control" if lift.as_long else "control"


def cost(table: Table) -> Grid:
    names = ["parameters", "encoder_parameters", "trained_parameters", "steps", "total_steps", "molecules_per_second",
             "train_seconds", "total_train_seconds", "wall_seconds", "peak_memory_mb"]  # fmt: skip
    asked = [row for row in table.rows if not row.baseline]
    rows = [[row.label, *(number(row.cost(name)) for name in names), _padding(row)] for row in asked]
    columns = ["", "parameters (task)", "of the encoder", "trained", "steps", "with earlier stages", "molecules/s",
               "training s", "training s with earlier stages", "wall s", "peak memory MB", "padding"]  # fmt: skip
    with_reasons(columns, rows, asked)
    note = "Means over seeds, each run on its own share of the machine named below."
    return Grid("Cost", columns, rows, note)


def with_reasons(columns: list[str], cells: list[list[str]], rows: list[Row]) -> None:
    """A further column where a row has seeds without a result, which shows as `n/a`: what became of them, and why."""
    told = [_why_missing(row) for row in rows]
    if any(told):
        columns.append("not run, and why")
        for line, why in zip(cells, told, strict=True):
            line.append(why)


def _why_missing(row: Row) -> str:
    each = {seed: f"{status}: {reason}" if reason else status for seed, status, reason in row.missing}
    if len(set(each.values())) <= 1 and not row.results:
        return next(iter(each.values()), "")
    return "; ".join(f"seed {seed} {why}" for seed, why in each.items())


def cell(row: Row, metric: str) -> str:
    values = row.values(metric)
    if not values:
        return "n/a"
    text = f"{np.mean(values):.{_PRECISION}f}"
    return text if row.baseline or len(values) < 2 else f"{text} ± {np.std(values, ddof=1):.{_PRECISION}f}"


def with_interval(row: Row, metric: str, table: Table) -> str:
    """The cell, and after it the interval if there is one."""
    text = cell(row, metric)
    found = interval(row, metric, table.targets) if row.values(metric) else None
    return text if found is None else f"{text} [{found.low:.{_PRECISION}f}, {found.high:.{_PRECISION}f}]"


def number(value: float | None) -> str:
    """Of a cost."""
    return "n/a" if value is None else f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _padding(row: Row) -> str:
    shares = [r.record["cost"]["padding"] for r in row.results if r.record.get("cost")]
    return ", ".join(f"{view.removesuffix('View').lower()} {share:.0%}" for view, share in (shares[0] if shares else {}).items())


def _with_unit(metric: str, units: dict[str, str]) -> str:
    target, _, name = metric.rpartition("/")
    return f"{metric} ({units[target]})" if name in {"MAE", "RMSE"} and units.get(target) else metric


def _all_metrics(table: Table) -> list[str]:
    found = {m for row in table.rows for r in row.results for m in r.metrics if m.startswith("test/")}
    return sorted(m.removeprefix("test/") for m in found)

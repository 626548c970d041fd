"""The question of the whole sweep, answered in one table: does each fusion help, by how much, at what cost?"""

from __future__ import annotations

from molfusion.report.grid import Grid
from molfusion.report.lifts import Lift, over_baseline, over_control, over_part
from molfusion.report.results import Row, Sweep, Table


def answers(sweep: Sweep) -> Grid:
    """One row a fusion and table, on `score`: over its best part, over its control, over the best baseline."""
    rows = [_answer(table, row) for table in sweep.tables for row in table.rows if row.parts or row.control]
    columns = ["fusion", "on", "over its best part", "over its matched control", "over the best baseline", "training time"]
    note = (
        "By `score`, fused minus the other over the same molecules and seeds, with 95 % intervals. The best part and the best"
        " baseline were chosen on validation. The control is the row that the sweep names, such as the unfused encoder trained"
        " for as many steps, or else the best part where that was trained as long, earlier stages included. Training time is"
        " that of the fusion's own stage over the control's."
    )
    return Grid("Does it help?", columns, rows, note)


def _answer(table: Table, row: Row) -> list[str]:
    part, control, baseline = over_part(table, row), over_control(table, row), over_baseline(table, row)
    against = control if isinstance(control, Lift) else part
    matched = _told(control) if row.control or not isinstance(part, Lift) else _part_as_control(part)
    return [row.label, table.name, _told(part), matched, _told(baseline), _time(row, table, against)]


def _part_as_control(part: Lift) -> str:
    """Of a fusion whose sweep names no control."""
    if part.as_long:
        return _told(part, ", trained as long")
    longer = "for a number of steps that is not known" if part.steps is None else f"× {part.steps:.2f} as long"
    return f"n/a: the sweep names no control, and its best part is none: the fusion was trained {longer}"


def _told(lift: Lift | str, why: str = "") -> str:
    """A lift, or why there is none."""
    if not isinstance(lift, Lift):
        return f"n/a: {lift}"
    found = lift.interval
    against = lift.against if lift.role == "baseline" else f"({lift.against}{why})"  # baselines' names have brackets of their own
    return f"{found.verdict}: {found.mean:+.3f} [{found.low:+.3f}, {found.high:+.3f}] {against}"


def _time(row: Row, table: Table, against: Lift | str) -> str:
    if not isinstance(against, Lift):
        return f"n/a: {against}"
    other = table.row(against.against)
    mine, theirs = row.cost("train_seconds"), other.cost("train_seconds") if other else None
    return f"× {mine / theirs:.1f}" if mine and theirs else f"n/a: no training time of both is known ({against.against})"

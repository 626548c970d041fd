"""The question of the whole sweep, answered in one table: does each fusion help, by how much, at what cost?"""

from __future__ import annotations

from molfusion.report.grid import Grid
from molfusion.report.lifts import Lift, over_baseline, over_control, over_part, times
from molfusion.report.results import Row, Sweep, Table


def answers(sweep: Sweep) -> Grid:
    """One row a fusion and table, on `score`: over its best part, over its control, over the best baseline."""
    rows = [_answer(table, row) for table in sweep.tables for row in table.rows if row.parts or row.control]
    columns = ["fusion", "on", "over its best part", "over its control", "over the best baseline", "training time"]
    note = (
        "By `score`, fused minus the other over the same molecules and seeds, with 95 % intervals. Better or worse only where a"
        " sign-flip test, corrected for all pairs of its table, says so as the interval does. Where baselines have no `score`, by"
        " the metric that is named, and its interval alone. The best part and the best baseline were chosen on validation. The"
        " control is the row that the sweep names, or else the best part where that was trained as long; after it stands in what"
        " the two are not matched. Training time is that of the fusion over the control's (or the best part's), with its range"
        " over seeds; it and steps include earlier stages."
    )
    return Grid("Does it help?", columns, rows, note)


def _answer(table: Table, row: Row) -> list[str]:
    part, control, baseline = over_part(table, row), over_control(table, row), over_baseline(table, row)
    against = control if isinstance(control, Lift) else part
    matched = control if row.control or not isinstance(part, Lift) else _part_as_control(part)
    return [row.label, table.name, _told(part), _told(matched, _apart(matched)), _told(baseline), _time(against)]


def _part_as_control(part: Lift) -> Lift | str:
    """Of a fusion whose sweep names no control."""
    if part.as_long:
        return part
    longer = "for a number of steps that is not known" if part.steps is None else f"× {part.steps:.2f} as long"
    return f"the sweep names no control, and its best part is none: the fusion was trained {longer}"


def _apart(lift: Lift | str) -> str:
    """In what a fusion and its control are not matched."""
    if not isinstance(lift, Lift):
        return ""
    steps = "as many steps" if lift.as_long else f"{times(lift.steps) or 'an unknown number of'} steps"
    return f"; {steps}, {times(lift.parameters) or 'an unknown number of'} parameters"


def _told(lift: Lift | str, apart: str = "") -> str:
    """A lift, or why there is none."""
    if not isinstance(lift, Lift):
        return f"n/a: {lift}"
    by = "" if lift.metric == "score" else f" by {lift.metric}"
    against = lift.against if lift.role == "baseline" else f"({lift.against}{apart})"  # baselines' names have brackets
    return f"{lift.verdict}{by}: {lift.interval.signed} {against}"


def _time(against: Lift | str) -> str:
    if not isinstance(against, Lift):
        return f"n/a: {against}"
    if (found := against.seconds) is None:
        return f"n/a: no training time of both is known ({against.against})"
    mean, low, high = (f"{x:.1f}" for x in (found.mean, found.low, found.high))
    return f"× {mean}" if low == high else f"× {mean} ({low}–{high})"

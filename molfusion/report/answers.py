"""The question of the whole sweep, answered in one table: does each fusion help, by how much, at what cost?"""

from __future__ import annotations

from molfusion.report.grid import Grid
from molfusion.report.lifts import Lift, lifts, over_baseline
from molfusion.report.results import Row, Sweep, Table


def answers(sweep: Sweep) -> Grid:
    """One row a fusion and table, on `score`: over its best part, over its control, over the best baseline."""
    rows = []
    for table in sweep.tables:
        found = lifts(table, "score")
        for fusion in dict.fromkeys(lift.row for lift in found):
            row = table.row(fusion)
            if row is None:
                continue
            by_role = {lift.role: lift for lift in found if lift.row == fusion}
            told = [_told(lift) for lift in (by_role.get("part"), by_role.get("control"), over_baseline(table, row))]
            rows.append([fusion, table.name, *told, _time(row, table, by_role)])
    columns = ["fusion", "on", "over its best part", "over its matched control", "over the best baseline", "training time"]
    note = (
        "By `score`, fused minus the other over the same molecules and seeds, with 95 % intervals. The best part and the best"
        " baseline were chosen on validation. The control is the unfused encoder trained for as many steps; training time is"
        " that of the fusion's own stage over the control's."
    )
    return Grid("Does it help?", columns, rows, note)


def _told(lift: Lift | str | None) -> str:
    """A lift, or why there is none."""
    if not isinstance(lift, Lift):
        return f"n/a: {lift}" if lift else "n/a"
    found = lift.interval
    against = lift.against if lift.role == "baseline" else f"({lift.against})"  # baselines' names have brackets of their own
    return f"{found.verdict}: {found.mean:+.3f} [{found.low:+.3f}, {found.high:+.3f}] {against}"


def _time(row: Row, table: Table, by_role: dict[str, Lift]) -> str:
    other = by_role.get("control") or by_role.get("part")
    against = table.row(other.against) if other else None
    mine, theirs = row.cost("train_seconds"), against.cost("train_seconds") if against else None
    return f"× {mine / theirs:.1f}" if mine and theirs else "n/a"

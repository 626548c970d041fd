"""The question of the whole sweep, answered in one table: does each fusion help, by how much, at what cost?"""

from __future__ import annotations

from molfusion.report.grid import Grid
from molfusion.report.results import Row, Sweep, Table
from molfusion.report.statistics import Lift, lifts


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
            told = [_told(by_role.get(role)) for role in ("part", "control")]
            rows.append([fusion, table.name, *told, _against_baseline(row, table), _time(row, table, by_role)])
    columns = ["fusion", "on", "over its best part", "over its matched control", "over the best baseline", "training time"]
    note = (
        "By `score`, fused minus unfused with 95 % intervals. The control is the unfused encoder trained for as many steps;"
        " training time is that of the fusion's own stage over the control's."
    )
    return Grid("Does it help?", columns, rows, note)


def _told(lift: Lift | None) -> str:
    if lift is None:
        return "n/a"
    found = lift.interval
    return f"{found.verdict}: {found.mean:+.3f} [{found.low:+.3f}, {found.high:+.3f}] ({lift.against})"


def _against_baseline(row: Row, table: Table) -> str:
    known = [(max(values), other.label) for other in table.rows if other.baseline and (values := other.values("score"))]
    mine = row.values("score")
    if not known or not mine:
        return "n/a"
    best, name = max(known)
    difference = sum(mine) / len(mine) - best
    return f"{'better' if difference > 0 else 'worse'}: {difference:+.3f} {name}"


def _time(row: Row, table: Table, by_role: dict[str, Lift]) -> str:
    other = by_role.get("control") or by_role.get("part")
    against = table.row(other.against) if other else None
    mine, theirs = row.cost("train_seconds"), against.cost("train_seconds") if against else None
    return f"× {mine / theirs:.1f}" if mine and theirs else "n/a"

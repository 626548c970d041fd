"""What answers rest on, where `molfusion explain` was asked, and whether taking that away hurts."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from markupsafe import Markup

from molfusion.report.grid import Grid
from molfusion.report.results import Table

_SHOWN = 4  # drawings of a row
_FILES = ("deletion.json", "grounding.json")


def grounded(table: Table) -> Grid:
    """One row a run with a deletion test; drawings of the first run of each row."""
    rows, drawings = [], []
    for row in table.rows:
        seen = False
        for result in row.results:
            folder = result.folder / "explain"
            deletion, grounding = (_read(folder / name) for name in _FILES)
            if deletion or grounding:
                rows.append([row.label, str(result.seed), (deletion or grounding)["method"], *_tested(deletion)])
            if grounding and not seen:
                drawings += [_drawn(row.label, folder, m) for m in grounding["molecules"][:_SHOWN]]
                seen = True
    lost = ["lost: top atoms", "lost: random atoms", "difference", "verdict"]
    columns = ["", "seed", "ranked by", "atoms taken", "molecules", *lost]
    note = (
        "Tokens of the atoms that count most are taken out, or of as many at random; lost is rightness (cosine with"
        " the right text, log-likelihood a token, or minus the error in spreads). Red speaks for the right answer, blue"
        " against it; an atom's colour is its share in all tokens that stand for it or around it. 95 % interval over molecules."
    )
    return Grid("What answers rest on", columns, rows, note, Markup("").join(drawings))


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    return found


def _tested(deletion: dict[str, Any]) -> list[str]:
    if not deletion:
        return ["", "", "", "", "", "not tested"]
    low, high = deletion["interval"]
    difference = f"{deletion['difference']:+.4f} [{low:+.4f}, {high:+.4f}]"
    counted = f"{deletion['share']:.0%}", str(deletion["molecules"]), f"{deletion['top']:.4f}", f"{deletion['random']:.4f}"
    return [*counted, difference, "they count" if low > 0 else "not shown to count"]


def _drawn(label: str, folder: Path, molecule: dict[str, Any]) -> Markup:
    """As a picture, in which no script of a file could run."""
    path = folder / Path(molecule["drawing"]).name
    if not path.is_file():
        return Markup("")
    content = base64.b64encode(path.read_bytes()).decode()
    text = Markup('<img width="240" src="data:image/svg+xml;base64,{}" alt="{}: atoms of {} by how much they count">')
    return text.format(content, label, molecule["id"])

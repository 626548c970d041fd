import json
from types import SimpleNamespace

import pytest

from molfusion.report.grounded import grounded

SCRIPT = '"><script>alert(1)</script>'


def row(folder, label="E3FP", **files):
    (folder / "explain").mkdir(parents=True)
    for name, content in files.items():
        (folder / "explain" / f"{name}.json").write_text(json.dumps(content))
    return SimpleNamespace(label=label, results=[SimpleNamespace(folder=folder, seed=0)])


DELETION = {"method": "gradient", "share": 0.25, "draws": 10, "molecules": 7, "top": 0.5, "random": 0.125,
            "difference": 0.375, "interval": [0.25, 0.5], "top_hurts_more": 0.9}  # fmt: skip


def test_numbers_and_drawings(tmp_path):
    grounding = {"method": "gradient", "molecules": [{"id": SCRIPT, "drawing": "m.svg"}]}
    found = row(tmp_path, SCRIPT, deletion=DELETION, grounding=grounding)
    (tmp_path / "explain" / "m.svg").write_text("<svg><script>alert(1)</script></svg>")
    grid = grounded(SimpleNamespace(rows=[found]))
    assert grid.rows == [
        [SCRIPT, "0", "gradient", "25%", "7", "0.5000", "0.1250", "+0.3750 [+0.2500, +0.5000]", "they count"]
    ]
    assert len(grid.rows[0]) == len(grid.columns)
    assert str(grid.figure).count("<img") == 1
    assert "<script>" not in grid.figure


@pytest.mark.parametrize("interval", [[-0.1, 0.5], [-0.5, -0.1]])
def test_not_shown_to_count(tmp_path, interval):
    grid = grounded(SimpleNamespace(rows=[row(tmp_path, deletion={**DELETION, "interval": interval})]))
    assert grid.rows[0][-1] == "not shown to count"


def test_drawings_alone_and_nothing_at_all(tmp_path):
    drawn = row(tmp_path / "a", grounding={"method": "attention", "molecules": [{"id": "x", "drawing": "gone.svg"}]})
    nothing = row(tmp_path / "b")
    grid = grounded(SimpleNamespace(rows=[drawn, nothing]))
    assert [r[-1] for r in grid.rows] == ["not tested"]
    assert not grid.figure
    assert not grounded(SimpleNamespace(rows=[nothing])).rows

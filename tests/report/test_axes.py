"""Rows of a sweep on its axes, from the sweep file alone."""

from molfusion.report.axes import axes_of, points
from molfusion.report.results import load
from tests.report.fakes import run, sweep

SPEC = {
    "tables": {
        "pretrain": {"rows": {"blend": {}}, "axes": {"data.train_fraction": [0.1, 1.0], "model.noise": ["a.yaml", "b.yaml"]}},
        "finetune": {
            "rows_of": {"table": "pretrain", "set": {}},
            "rows": {"fresh": {}, "given": {"needs": "pretrain/blend train_fraction=1.0 noise=b"}},
        },
        "alone": {"axes": {"model.steps": [100, 5]}},
    }
}
ROWS = [f"blend train_fraction={x} noise={y}" for x in (0.1, 1.0) for y in "ab"]


def made(folder):
    tables = {"pretrain": ROWS, "finetune": [*ROWS, "fresh", "given"], "alone": ["steps=100", "steps=5"]}
    sweep(folder, {name: {row: {} for row in rows} for name, rows in tables.items()}, SPEC)
    for name, rows in tables.items():
        for row in rows:
            run(folder / name / row / "0", "Property", {"test/score": 1.0})
    return folder


def test_a_row_has_its_own_point_and_that_of_what_it_needs(tmp_path):
    found = points(made(tmp_path))
    assert found["pretrain", ROWS[1]].base == "blend"
    assert found["pretrain", ROWS[1]].values == {"data.train_fraction": 0.1, "model.noise": "b.yaml"}
    assert found["finetune", ROWS[1]] == found["pretrain", ROWS[1]]
    assert (found["finetune", "fresh"].base, found["finetune", "fresh"].values) == ("fresh", {})
    assert found["finetune", "given"].values == {"data.train_fraction": 1.0, "model.noise": "b.yaml"}
    assert found["alone", "steps=5"].base == ""


def test_axes_of_a_table(tmp_path):
    where = points(made(tmp_path))
    tables = {table.name: table for table in load(tmp_path).tables}
    share, noise = axes_of(tables["finetune"], where)
    assert (share.name, share.numeric, share.values) == ("data.train fraction", True, [0.1, 1.0])
    assert {name: [(v, row.label) for v, row in line] for name, line in share.series.items()} == {
        "blend noise=a": [(0.1, ROWS[0]), (1.0, ROWS[2])],
        "blend noise=b": [(0.1, ROWS[1]), (1.0, ROWS[3])],
        "given noise=b": [(1.0, "given")],
    }
    assert [row.label for row in share.others] == ["fresh"]
    assert (noise.name, noise.numeric, noise.values) == ("noise", False, ["a", "b"])
    (steps,) = axes_of(tables["alone"], where)
    assert steps.values == [5, 100]
    assert [row.label for _, row in steps.series[""]] == ["steps=5", "steps=100"]


def test_without_a_sweep_file_there_are_no_axes(tmp_path):
    (made(tmp_path) / "sweep.yaml").unlink()
    assert points(tmp_path) == {}
    assert axes_of(load(tmp_path).tables[0], {}) == []

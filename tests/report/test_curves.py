from molfusion.report.curves import curves, over_seeds
from molfusion.report.results import load
from tests.report.fakes import run, sweep

LOG = [[10, 0, "val/score", -3.0], [20, 1, "val/score", -2.0], [21, 2, "val/score", 0.9], [21, 2, "test/score", 0.8]]


def test_mean_over_seeds_without_the_last_validation(tmp_path):
    sweep(tmp_path, {"t": {"A": {}}}, seeds=(0, 1))
    run(tmp_path / "t" / "A" / "0", "Generation", {"test/score": 1.0, "val/Validity": 1.0}, log=LOG)
    run(tmp_path / "t" / "A" / "1", "Generation", {"test/score": 1.0}, seed=1, log=[[10, 0, "val/score", -1.0], *LOG[1:]])
    table = load(tmp_path).tables[0]
    steps, values = over_seeds(table.rows[0], "val/score")
    assert steps == [10, 20]
    assert values.tolist() == [[-3.0, -2.0], [-1.0, -2.0]]
    grid = curves(table)
    assert "minus the loss" in grid.note
    assert str(grid.figure).count(">A</text>") == 1


def test_without_a_log_there_is_nothing_to_draw(tmp_path):
    sweep(tmp_path, {"t": {"A": {}}})
    run(tmp_path / "t" / "A" / "0", "Property", {"test/score": 1.0})
    assert not curves(load(tmp_path).tables[0]).figure

import re

import pytest

from molfusion.report.ablation import ablations, by_row
from molfusion.report.axes import points
from molfusion.report.page import write
from molfusion.report.results import load
from tests.report.fakes import made, run, sweep

STEPS = [5, 10, 100]


@pytest.fixture
def folder(tmp_path):
    rows = [f"{name} steps={s}" for name in ("DDIM", "$x<b>") for s in STEPS]
    spec = {"tables": {"t": {"rows": {"DDIM": {}, "$x<b>": {}, "other": {}}, "axes": {"model.steps": STEPS}}}}
    sweep(tmp_path, {"t": {"(nearest)": {}, **{row: {} for row in rows}}}, spec)
    for i, row in enumerate(rows):
        scores = {"test/score": 0.1 * i, "test/maccs": 0.1 * i, "test/Similarity": 0.1 * i, "test/Diversity": 1 - 0.1 * i}
        rows_of = [made(k, "CCO", 0.1 * i) for k in "ab"] if "DDIM" in row else ()
        run(tmp_path / "t" / row / "0", "Generation", scores, rows_of)
    run(tmp_path / "t" / "baseline-nearest", "Generation", {"test/score": 0.25, "test/Similarity": 0.2, "test/Diversity": 0.3})
    return tmp_path


def shown(folder):
    return ablations(load(folder).tables[0], points(folder), "likeness")


def test_numbers_become_lines(folder):
    grid, _ = shown(folder)
    assert grid.title == "By steps"
    assert grid.columns == ["", "steps", "score", "interval"]
    assert grid.rows[:3] == [
        ["DDIM", "5", "0.000", "[0.000, 0.000]"], ["DDIM", "10", "0.100", "[0.100, 0.100]"],
        ["DDIM", "100", "0.200", "[0.200, 0.200]"],
    ]  # fmt: skip
    labels = re.findall(r"<text[^>]*>([^<]*)</text>", str(grid.figure))
    assert {"DDIM", "$x&lt;b&gt;", "(nearest)", "steps", "likeness (higher is better)", "5", "10", "100"} <= set(labels)


def test_similarity_against_diversity(folder):
    *_, grid = shown(folder)
    assert grid.title == "Similarity against diversity by steps"
    assert grid.rows[4] == ["$x<b>", "10", "0.400", "0.600"]  # as the run said
    assert grid.rows[1][2] == "1.000"  # of the molecules themselves: each is what was wanted
    assert len(grid.rows) == 6


def test_names_become_dots_and_a_range_over_seeds(tmp_path):
    rows = [f"loss={x}" for x in ("mse", "huber")]
    sweep(tmp_path, {"t": {row: {} for row in rows}}, {"tables": {"t": {"axes": {"model.loss": ["mse", "huber"]}}}}, seeds=(0, 1))
    for row in rows:
        for seed in (0, 1):
            run(tmp_path / "t" / row / str(seed), "Pretraining", {"test/score": -1.0 - seed}, seed=seed)
    (grid,) = shown(tmp_path)
    assert grid.rows == [["t", "mse", "-1.500", "[-2.000, -1.000]"], ["t", "huber", "-1.500", "[-2.000, -1.000]"]]
    assert "mse" in str(grid.figure)


def test_one_value_is_no_axis(tmp_path):
    sweep(tmp_path, {"t": {"loss=mse": {}}}, {"tables": {"t": {"axes": {"model.loss": ["mse"]}}}})
    run(tmp_path / "t" / "loss=mse" / "0", "Pretraining", {"test/score": -1.0})
    assert shown(tmp_path) == []


def test_rows_alone_become_dots_with_baselines_as_lines(tmp_path):
    sweep(tmp_path, {"t": {"(ridge)": {}, "one": {}, "two": {}, "failed": {}}}, seeds=(0, 1))
    for seed in (0, 1):
        for i, row in enumerate(("one", "two")):
            run(tmp_path / "t" / row / str(seed), "Pretraining", {"test/score": -1.0 - i - seed}, seed=seed)
    run(tmp_path / "t" / "baseline-ridge", "Pretraining", {"test/score": -0.125})
    table = load(tmp_path).tables[0]
    (grid,) = by_row(table, "score")
    assert grid.title == "By row"
    assert grid.columns == ["", "score", "interval"]
    assert grid.rows == [["one", "-1.500", "[-2.000, -1.000]"], ["two", "-2.500", "[-3.000, -2.000]"]]
    labels = set(re.findall(r"<text[^>]*>([^<]*)</text>", str(grid.figure)))
    assert {"one", "two", "(ridge)", "score (higher is better)"} <= labels
    assert "failed" not in labels
    table.rows = [row for row in table.rows if row.label != "two"]
    assert by_row(table, "score") == []  # one row varies nothing


@pytest.mark.parametrize("intervals", [True, False])
def test_the_page_draws_rows_once(tmp_path, intervals):
    """Where the results have intervals their figure is that of the rows."""
    sweep(tmp_path, {"t": {"one": {}, "two": {}}}, {"tables": {"t": {"rows": {"one": {}, "two": {}}}}})
    for row in ("one", "two"):
        rows = [made(k, "CCO", 0.5) for k in "ab"] if intervals else []
        run(tmp_path / "t" / row / "0", "Generation", {"test/score": 0.5, "test/maccs": 0.5}, rows)
    page = write(tmp_path).read_text()
    assert ("t: Results, figure" in page, "t: By row, figure" in page) == (intervals, not intervals)

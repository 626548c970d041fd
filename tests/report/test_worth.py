"""The first table of a report on encoders alone: what each reaches, and at what cost."""

from molfusion.report.axes import points
from molfusion.report.page import write
from molfusion.report.results import load
from molfusion.report.worth import worth
from tests.report.fakes import run, sweep


def folder(tmp_path, rows, spec=None):
    """A table of properties; rows {name: (error of one molecule and of another, seconds)}."""
    target = {"name": "y", "unit": "eV", "kind": "regression", "spread": 1.0}
    for name, (errors, seconds) in rows.items():
        told = [
            {"id": i, "group": i, "target": "y", "predicted": e, "measured": 0.0} for i, e in zip("ab", errors, strict=True)
        ]
        score = -sum(errors) / 2
        home = tmp_path / "property" / (f"baseline-{name[1:-1]}" if name.startswith("(") else f"{name}/0")
        run(home, "Property", {"val/score": score, "test/score": score}, told, seconds=seconds, targets=[target])
    return sweep(tmp_path, {"property": {name: {} for name in rows}}, spec)


def test_score_and_cost_of_each_row(tmp_path):
    rows = {"GIN": ((0.25, 0.75), 2.0), "UniMol": ((1.0, 1.0), 40.0), "(mean)": ((2.0, 2.0), 0.1)}
    found = worth(load(folder(tmp_path, rows)), {})
    assert [row[:3] for row in found.rows] == [
        ["GIN", "property", "-0.500 [-0.750, -0.250]"],
        ["UniMol", "property", "-1.000 [-1.000, -1.000]"],
    ]
    assert [row[-1] for row in found.rows] == ["2", "40"]
    assert "(mean)" in found.figure
    assert found.figure.count("GIN") == 1


def test_it_opens_the_report(tmp_path):
    page = write(folder(tmp_path, {"GIN": ((0.25, 0.75), 2.0), "UniMol": ((1.0, 1.0), 40.0)}))
    assert page.read_text().index("What is each worth") < page.read_text().index("Results")
    assert "## What is each worth, and what does it cost?" in page.with_suffix(".md").read_text()


def test_nothing_of_a_single_row(tmp_path):
    found = worth(load(folder(tmp_path, {"GIN": ((0.25, 0.75), 2.0)})), {})
    assert not found.rows
    assert not found.figure


def test_without_predictions_there_are_rows_and_no_figure(tmp_path):
    made = folder(tmp_path, {"GIN": ((0.25, 0.75), 2.0), "UniMol": ((1.0, 1.0), 40.0)})
    for path in made.rglob("predictions.parquet"):
        path.unlink()
    found = worth(load(made), {})
    assert [row[2] for row in found.rows] == ["-0.500", "-1.000"]
    assert not found.figure


def test_nothing_of_a_setting_that_varies(tmp_path):
    """Its own figure says more."""
    names = ["GIN width=16", "GIN width=32"]
    spec = {"tables": {"property": {"rows": {"GIN": {}}, "axes": {"model.width": [16, 32]}}}}
    made = folder(tmp_path, dict.fromkeys(names, ((0.25, 0.75), 2.0)), spec)
    where = points(made)
    assert len(where) == 2
    assert not worth(load(made), where).rows

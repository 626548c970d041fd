"""Rows that ask a trained run anew: nothing is trained, and what is trained counts once."""

import json

import pytest

from molfusion.report.results import load
from tests.sweep.helpers import RETRIEVAL, finished, ran, write

pytestmark = pytest.mark.slow

TABLES = {
    "t": {"set": {"model": RETRIEVAL}, "rows": {"FP": {}, "twin": {"parts": ["FP"]}}, "reliance": ["shuffle"]},
    "u": {
        "rows": {"as it was": {"trained": "t/FP"}, "parted": {"trained": "t/twin", "parts": ["as it was"]}},
        "axes": {"data.batch_size": [2, 3]},
        "reliance": ["shuffle"],
        "baselines": ["chance"],
    },
}


def test_a_trained_run_is_asked_and_not_trained(card, tmp_path):
    file, out = write(tmp_path, card, TABLES), tmp_path / "out"
    code, told, cells = ran(file, out)
    assert code == 0, told
    result = {key: json.loads((out / cell["folder"] / "metrics.json").read_text()) for key, cell in cells.items()}
    first = result["t/FP/0"]
    for size in (2, 3):
        asked = result[f"u/as it was batch_size={size}/0"]
        assert asked["metrics"] == pytest.approx(first["metrics"], abs=1e-6)
        assert asked["cost"] == first["cost"]
        folder = out / cells[f"u/as it was batch_size={size}/0"]["folder"]
        assert (folder / "predictions.parquet").is_file()
        assert not (folder / "checkpoints").exists()
        parted = out / cells[f"u/parted batch_size={size}/0"]["folder"]
        assert json.loads((parted / "reliance.json").read_text())
    rows = {(table.name, row.label): row for table in load(out).tables for row in table.rows}
    assert rows["u", "as it was batch_size=2"].cost("total_steps") == rows["t", "FP"].cost("total_steps") == 2
    before = finished(out)
    assert ran(file, out)[0] == 0
    assert finished(out) == before

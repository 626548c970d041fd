"""One cell of each table of the shipped MoleBLEND sweeps runs, and what it exports is what the next one starts from."""

from pathlib import Path

import pytest

from molfusion.config import compose
from molfusion.paths import shipped
from molfusion.runner import Run
from molfusion.sweep.plan import plan, resolved

FILES = sorted((shipped("experiments") / "sweeps" / "moleblend").glob("*.yaml"))


def quick(config, folder: Path, card) -> dict:
    data = [("data.card", str(card)), "data.batch_size=8", "data.targets=null"]
    overrides = ["trainer.fast_dev_run=true", "trainer.accelerator=cpu"]
    return Run(compose([], [*config.tree.items(), *data, *overrides]), folder).fit()


@pytest.mark.slow
@pytest.mark.parametrize("file", FILES, ids=lambda p: p.stem)
def test_first_cells_run(file, card, tmp_path):
    """The cell with the last row of the first table, so that axes and settings of rows are set, and all later tables on it."""
    made = plan(file, tmp_path / "out")
    first = made.tables[0]
    start = next(c for c in made.cells if c.table == first.name and c.row == first.rows[-1])
    result = quick(start.config, start.folder, card)
    assert result["task"] == "Pretraining"
    followers = {c.table: c for c in reversed(made.cells) if any(n.key == start.key for n in c.needs.values())}
    assert set(followers) == {t.name for t in made.tables[1:]}
    for cell in followers.values():
        result = quick(resolved(cell), cell.folder, card)
        assert result["task"] == "Property"
        assert all(abs(v) < 1e6 for v in result["metrics"].values())

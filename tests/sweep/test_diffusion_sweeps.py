"""The last cell of the shipped 3M-Diffusion sweeps run on a few of the demo's molecules, with what they are built on."""

from pathlib import Path

import pytest

from molfusion.config import compose
from molfusion.paths import shipped
from molfusion.runner import Run
from molfusion.sweep.plan import plan, resolved

FOLDER = shipped("experiments") / "sweeps" / "3m-diffusion"
FILES = [p for p in sorted(FOLDER.glob("*.yaml")) if "realtext" not in p.read_text()]  # those need its files


def quick(config, folder: Path) -> dict:
    data = [("data.train_fraction", 0.05), ("data.batch_size", 8), "trainer.fast_dev_run=true", "trainer.accelerator=cpu"]
    small = [("model.samples", 1)] if "Generation" in config.tree["model"]["class_path"] else []
    return Run(compose([], [*config.tree.items(), *data, *small]), folder).fit()


def ran(cell) -> dict:
    """The cell, after those it is built on."""
    for needed in cell.needs.values():
        if not (needed.folder / "encoder.yaml").is_file():
            ran(needed)
    return quick(resolved(cell), cell.folder)


@pytest.mark.slow
@pytest.mark.parametrize("file", FILES, ids=lambda p: p.stem)
def test_last_cells_run(file, tmp_path):
    made = plan(file, tmp_path / "out")
    for table in made.tables[-1:]:
        result = ran([c for c in made.cells if c.table == table.name and c.seed == made.seeds[0]][-1])
        assert all(abs(v) < 1e6 for v in result["metrics"].values())
        assert result["data"]["records"]["test"] > 0

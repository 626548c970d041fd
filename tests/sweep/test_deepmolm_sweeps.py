"""The last cell of each table of the shipped DeepMoLM sweeps runs, with what it is built on."""

from pathlib import Path

import pytest

from molfusion.config import compose
from molfusion.paths import shipped
from molfusion.runner import Run
from molfusion.sweep.plan import plan, resolved

FILES = sorted((shipped("experiments") / "sweeps" / "deepmolm").glob("*.yaml"))


def quick(config, folder: Path, card) -> dict:
    data = [("data.card", str(card)), "data.batch_size=8"]
    overrides = ["trainer.fast_dev_run=true", "trainer.accelerator=cpu"]
    small = ["model.samples=2", "model.test_samples=2", "model.decoding.max_new_tokens=4"]
    captions = "Captioning" in config.tree["model"]["class_path"] or "Fusion" in config.tree["model"]["class_path"]
    return Run(compose([], [*config.tree.items(), *data, *overrides, *(small if captions else [])]), folder).fit()


def ran(cell, card) -> dict:
    """The cell, after those it is built on."""
    for needed in cell.needs.values():
        if not (needed.folder / "encoder.yaml").is_file():
            ran(needed, card)
    return quick(resolved(cell), cell.folder, card)


@pytest.mark.slow
@pytest.mark.parametrize("file", FILES, ids=lambda p: p.stem)
def test_last_cells_run(file, card, tmp_path):
    made = plan(file, tmp_path / "out")
    assert made.tables
    for table in made.tables:
        result = ran([c for c in made.cells if c.table == table.name and c.seed == made.seeds[0]][-1], card)
        assert all(abs(v) < 1e6 for v in result["metrics"].values())

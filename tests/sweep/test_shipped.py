"""Of every sweep that ships the last cell of each table runs, one batch of everything, with all that it is built on."""

from pathlib import Path

import pytest

from molfusion.config import compose
from molfusion.paths import shipped
from molfusion.runner import Run
from molfusion.sweep.plan import plan, resolved

ROOT = shipped("experiments")
FILES = sorted((ROOT / "sweeps").rglob("*.yaml"))
TINY = str(ROOT / "language" / "tiny.yaml")


def quick(config, card):
    """A batch each, on a card that is here; of a sweep that chooses molecules or facts, on some of the demo's."""
    given = config.tree["data"]
    data = [("data.card", str(card)), ("data.targets", None)]
    if {"told", "atoms", "contains", "split", "near"} & given.keys():
        data = [("data.card", "demo"), ("data.train_fraction", 0.05)]
        if "atoms" in given and given["card"] != "demo":  # whose molecules are half as large as real ones
            data += [("data.atoms", {split: [n // 2 for n in sizes] for split, sizes in given["atoms"].items()})]
    settings = [*data, ("data.batch_size", 8), ("data.root", None)]
    settings += [("trainer.fast_dev_run", True), ("trainer.accelerator", "cpu")]
    model = config.tree["model"]
    if "lm" in model["init_args"]:
        settings += [("model.lm", TINY), ("model.decoding.max_new_tokens", 4)]
        settings += [("model.samples", 2), ("model.test_samples", 2)]
    elif "Generation" in model["class_path"]:
        settings += [("model.samples", 1), ("model.steps", 5)]
    return compose([], [*config.tree.items(), *settings])


def ran(cell, card) -> dict:
    """The cell, after those it is built on; each once."""
    for needed in cell.needs.values():
        ran(needed, card)
    run = Run(quick(resolved(cell), card), cell.folder)
    if cell.trained is None:
        return run.fit()
    best = cell.trained.folder / "checkpoints" / "best.ckpt"  # which a batch of everything does not write
    if not best.is_file():
        built = Run(quick(resolved(cell.trained), card), cell.trained.folder).built()
        built.trainer.strategy.connect(built.task)
        built.trainer.save_checkpoint(best, weights_only=True)
    return run.ask(cell.trained.folder)


@pytest.mark.slow
@pytest.mark.parametrize("file", FILES, ids=lambda p: p.relative_to(ROOT / "sweeps").with_suffix("").as_posix())
def test_the_last_cell_of_each_table_runs(file: Path, card, tmp_path):
    made = plan(file, tmp_path / "out")
    for table in made.tables:
        cell = [c for c in made.cells if c.table == table.name and c.seed == made.seeds[0]][-1]
        result = ran(cell, card)
        assert result["data"]["records"]["test"] > 0
        assert all(abs(v) < 1e6 for v in result["metrics"].values())

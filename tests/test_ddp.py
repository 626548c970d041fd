"""Two processes with half a batch each are one process with the whole."""

import pyarrow.parquet as pq
import pytest
import torch

from tests.ranks import together
from tests.tasks.helpers import FINGERPRINT, fit

pytestmark = pytest.mark.slow

TEXT = {"class_path": "molfusion.encoders.TextEncoder", "init_args": {"dim": 32, "layers": 1, "heads": 2, "dropout": 0.0}}
DDP = ["trainer.devices=2", "trainer.strategy=ddp_find_unused_parameters_true"]
TASKS = {
    "Retrieval": {"encoder": FINGERPRINT, "text": TEXT},  # features of the other rank carry a gradient
    "Property": {"encoder": FINGERPRINT},  # one rank of the card's sixteen lacks a measurement
}


def weights(folder, name="last"):
    return torch.load(folder / "checkpoints" / f"{name}.ckpt", weights_only=True)["state_dict"]


def rows(folder, *key):
    """Each number of the predictions by what it is of."""
    table = pq.read_table(folder / "predictions.parquet").to_pylist()
    return {tuple(row[k] for k in key): {k: v for k, v in row.items() if isinstance(v, (int, float))} for row in table}


@pytest.mark.parametrize("task", TASKS)
def test_half_a_batch_on_two_ranks_is_a_batch_on_one(task, card, tmp_path):
    one = fit(tmp_path / "one", card, task, batch=8, **TASKS[task])
    two = together(2, fit, tmp_path / "two", card, task, batch=4, overrides=DDP, **TASKS[task])
    assert two[0]["metrics"] == two[1]["metrics"] == pytest.approx(one["metrics"], abs=1e-5)
    assert two[0]["cost"]["steps"] == one["cost"]["steps"] == 6
    for name in ("last", "best"):
        torch.testing.assert_close(weights(tmp_path / "two", name), weights(tmp_path / "one", name), rtol=0, atol=2e-5)
    key = ("split", "id", "target") if task == "Property" else ("split", "id", "scope", "direction", "pool")
    found = [rows(tmp_path / name, *key) for name in ("one", "two")]
    assert found[0].keys() == found[1].keys()
    assert all(found[1][k] == pytest.approx(v, abs=1e-4, nan_ok=True) for k, v in found[0].items())

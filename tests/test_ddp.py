"""Two processes with half a batch each are one process with the whole."""

import os

import pyarrow.parquet as pq
import pytest
import torch
import torch.nn.functional as F

from molfusion.nn.contrastive import contrastive
from tests.ranks import together
from tests.tasks.helpers import FINGERPRINT, fit

pytestmark = pytest.mark.slow

TEXT = {"class_path": "molfusion.encoders.TextEncoder", "init_args": {"dim": 32, "layers": 1, "heads": 2, "dropout": 0.0}}
QFORMER = {
    "class_path": "molfusion.fusion.QFormer",
    "init_args": {"encoder": FINGERPRINT, "queries": 2, "dim": 32, "layers": 1, "heads": 2, "ffn": 64, "dropout": 0.0},
}
DDP = ["trainer.devices=2", "trainer.strategy=ddp_find_unused_parameters_true"]
# Adam divides by the size of a gradient: without this, rounding decides where a weight without any goes.
STEADY = "model.optimizer.init_args.eps=1e-5"
TASKS = {
    "two towers": ("Retrieval", {"encoder": FINGERPRINT, "text": TEXT}),  # features of the other rank carry a gradient
    "numbers": ("Property", {"encoder": FINGERPRINT}),  # one molecule lacks a measurement, so the ranks' means differ
    "half of a model": ("Property", {"encoder": QFORMER}),  # its text side gets no gradient
}


def weights(folder, name="last"):
    return torch.load(folder / "checkpoints" / f"{name}.ckpt", weights_only=True)["state_dict"]


def same(one, two, atol=2e-5):
    assert one.keys() == two.keys()
    torch.testing.assert_close(two, one, rtol=0, atol=atol)


def rows(folder):
    """The numbers of the predictions by what they are of."""
    table = pq.read_table(folder / "predictions.parquet").to_pylist()
    return {
        tuple(v for v in row.values() if isinstance(v, str)): [v for v in row.values() if isinstance(v, (int, float))]
        for row in table
    }


@pytest.mark.parametrize("name", TASKS)
def test_half_a_batch_on_two_ranks_is_a_batch_on_one(name, card, tmp_path):
    task, settings = TASKS[name]
    one = fit(tmp_path / "one", card, task, batch=8, overrides=[STEADY], **settings)
    two = together(2, fit, tmp_path / "two", card, task, batch=4, overrides=[STEADY, *DDP], **settings)
    assert two[0]["cost"]["steps"] == one["cost"]["steps"] == 6
    for name in ("last", "best"):
        same(weights(tmp_path / "one", name), weights(tmp_path / "two", name))
    # of the four molecules of a split each rank scored two; together they have scored all of them, once
    assert two[0]["metrics"] == two[1]["metrics"] == pytest.approx(one["metrics"], abs=1e-4)
    found = [rows(tmp_path / name) for name in ("one", "two")]
    assert len(found[0]) >= 8
    assert found[0].keys() == found[1].keys()
    assert all(found[1][key] == pytest.approx(value, abs=1e-4, nan_ok=True) for key, value in found[0].items())


def test_a_rank_without_work_repeats_a_molecule_that_counts_once(card, tmp_path):
    """Four molecules, one a rank and step: in the second step two of three ranks have none left."""
    one = fit(tmp_path / "one", card, "Property", encoder=FINGERPRINT, lr=0.0, epochs=1, batch=8)
    three = ["trainer.devices=3", DDP[1]]
    two = together(3, fit, tmp_path / "two", card, "Property", encoder=FINGERPRINT, lr=0.0, epochs=1, batch=1, overrides=three)
    assert two[0]["metrics"] == pytest.approx(one["metrics"], rel=1e-5)
    assert len(rows(tmp_path / "two")) == len(rows(tmp_path / "one")) == 16  # two splits, four molecules, two targets


def contrast_gradients(gather, ranks):
    """Of two projections and the temperature, by this rank's share of eight pairs; the mean over ranks."""
    draw = torch.Generator().manual_seed(0)
    molecules, texts = torch.randn(8, 2, 5, generator=draw), torch.randn(8, 5, generator=draw)
    learned = [torch.eye(5).requires_grad_(), torch.eye(5).requires_grad_(), torch.full((1,), 0.2).requires_grad_()]
    rank = 0
    if ranks > 1:
        rank = int(os.environ["LOCAL_RANK"])
        torch.distributed.init_process_group("gloo", rank=rank, world_size=ranks)
    m, t = (F.normalize(x[rank::ranks] @ w, dim=-1) for x, w in zip((molecules, texts), learned[:2], strict=True))
    contrastive(m, t, learned[2], gather).loss.backward()
    for x in learned if ranks > 1 else []:
        torch.distributed.all_reduce(x.grad)
        x.grad /= ranks
    return [x.grad.tolist() for x in learned]


@pytest.mark.parametrize("gather", ["detached", "gradient"])
def test_contrast_across_ranks_is_contrast_over_all_pairs(gather):
    expected = contrast_gradients(gather, 1)
    for found in together(2, contrast_gradients, gather, 2):
        for x, y in zip(found, expected, strict=True):
            torch.testing.assert_close(torch.tensor(x), torch.tensor(y), rtol=1e-4, atol=1e-6)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("hardware", ["gpu", "ddp", "fsdp"])
def test_on_gpus(hardware, card, tmp_path):
    """The shipped files as they are, on as many GPUs as there are."""
    from molfusion.config import compose
    from molfusion.paths import shipped

    trainer = compose([shipped("experiments") / "hardware" / f"{hardware}.yaml"]).tree["trainer"]
    overrides = [(f"trainer.{key}", value) for key, value in trainer.items()]
    ranks = 1 if hardware == "gpu" else torch.cuda.device_count()
    found = together(ranks, fit, tmp_path / "run", card, "Retrieval", encoder=QFORMER, overrides=overrides)
    assert 0 <= found[0]["metrics"]["test/score"] <= 1
    assert found[0]["provenance"]["device"].startswith("NVIDIA")

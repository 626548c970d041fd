"""Parameters shared out among two processes train as they do whole, resume exactly and come together again."""

import copy
import csv
import json
import os
import subprocess
import sys

import lightning as L
import pytest
import torch
import yaml
from safetensors.torch import load_file
from torch import nn

import molfusion
from molfusion.config import compose
from molfusion.paths import shipped
from molfusion.runner import Run, on_one_device
from tests.ranks import together
from tests.tasks.helpers import FINGERPRINT, UNIMOL, config, fit
from tests.test_ddp import DDP, QFORMER, STEADY, TEXT, same, weights

pytestmark = pytest.mark.slow

FSDP = ["trainer.devices=2", "trainer.strategy={class_path: molfusion.sharding.FullyShardedStrategy}"]


def without_dropout(fragment):
    fragment = copy.deepcopy(fragment)
    fragment["init_args"]["dropout"] = 0.0
    return fragment


TOWERS = {"encoder": without_dropout(UNIMOL), "text": TEXT, "overrides": [STEADY, *FSDP]}


class Shares(L.Callback):
    """Which parameters are shared out while training, and how much of them this rank holds."""

    def __init__(self):
        self.whole, self.held, self.all = [], 0, 0

    def on_train_start(self, trainer, task):
        from torch.distributed.tensor import DTensor

        for name, parameter in task.named_parameters():
            if isinstance(parameter, DTensor):
                self.held += parameter.to_local().numel()
                self.all += parameter.numel()
            else:
                self.whole.append(name)


def watched(folder, *arguments, **settings):
    shares = Shares()
    result = Run(config(*arguments, **settings), folder, [shares]).fit()
    return result, shares.whole, shares.held / shares.all


def test_two_towers_shared_out_are_two_towers_on_one_process(card, tmp_path):
    """Uni-Mol's and BERT's blocks, the projection heads and the temperature; the loss sees the pairs of both ranks."""
    two = together(2, watched, tmp_path / "two", card, "Retrieval", batch=4, **TOWERS)
    for _, whole, held in two:
        assert whole == []
        assert 0.45 < held < 0.55
    one = fit(tmp_path / "one", card, "Retrieval", batch=8, **{**TOWERS, "overrides": [STEADY]})
    for name in ("last", "best"):
        same(weights(tmp_path / "one", name), weights(tmp_path / "two", name))
    result = two[0][0]
    assert result["metrics"] == pytest.approx(one["metrics"], abs=1e-4)
    for key in ("parameters", "trained_parameters", "encoder_parameters", "steps"):
        assert result["cost"][key] == one["cost"][key]
    assert result["task"] == "Retrieval"
    # what was exported is whole, and an encoder like any other
    best = weights(tmp_path / "two", "best")
    for slot, prefix in (("encoder", "encoder."), ("text", "_text.")):
        exported = load_file(tmp_path / "two" / f"{slot}.safetensors")
        assert exported
        assert all(torch.equal(value, best[prefix + name]) for name, value in exported.items())
    fit(tmp_path / "probe", card, "Property", encoder=str(tmp_path / "two" / "encoder.yaml"), epochs=1)
    # and the checkpoint opens on one process
    alone = Run(on_one_device(compose([tmp_path / "two" / "config.yaml"])), tmp_path / "two")
    assert alone.evaluate("test", "best")["test/score"] == pytest.approx(result["metrics"]["test/score"], abs=1e-5)
    assert len(molfusion.load(tmp_path / "two").predict()) == 24


class Plug(L.Callback):
    """Pulled after so many steps."""

    def __init__(self, steps):
        self.steps = steps

    def on_train_batch_start(self, trainer, *_):
        if trainer.global_step == self.steps:
            raise ConnectionError("unplugged")


def unplugged(folder, steps, *arguments, **settings):
    import molfusion.runner

    molfusion.runner.CHECKPOINT_EVERY = 1
    with pytest.raises(ConnectionError, match="unplugged"):
        Run(config(*arguments, **settings), folder, [Plug(steps)]).fit()


def resumed(folder, checkpoint, *arguments, **settings):
    return Run(config(*arguments, **settings), folder).fit(checkpoint)


def test_resumes_exactly(card, tmp_path):
    """In the middle of an epoch, with dropout on."""
    settings = {**TOWERS, "encoder": UNIMOL, "batch": 4}
    together(2, fit, tmp_path / "whole", card, "Retrieval", **settings)
    together(2, unplugged, tmp_path / "cut", 3, card, "Retrieval", **settings)
    assert not (tmp_path / "cut" / "metrics.json").exists()
    together(2, fit, tmp_path / "cut", card, "Retrieval", **settings)
    one, two = weights(tmp_path / "whole"), weights(tmp_path / "cut")
    assert all(torch.equal(one[k], two[k]) for k in one)
    scores = [json.loads((tmp_path / name / "metrics.json").read_text())["metrics"] for name in ("whole", "cut")]
    assert scores[0] == scores[1]


def test_another_number_of_processes_goes_on_from_a_checkpoint(card, tmp_path):
    alone = {**TOWERS, "overrides": [STEADY], "batch": 8}
    fit(tmp_path / "one", card, "Retrieval", **alone)
    together(2, unplugged, tmp_path / "two", 3, card, "Retrieval", batch=4, **TOWERS)
    resumed(tmp_path / "two to one", tmp_path / "two" / "checkpoints" / "last.ckpt", card, "Retrieval", **alone)
    same(weights(tmp_path / "one"), weights(tmp_path / "two to one"))
    unplugged(tmp_path / "cut", 3, card, "Retrieval", **alone)
    last = tmp_path / "cut" / "checkpoints" / "last.ckpt"
    together(2, resumed, tmp_path / "one to two", last, card, "Retrieval", batch=4, **TOWERS)
    same(weights(tmp_path / "one"), weights(tmp_path / "one to two"))


GIN = {"class_path": "molfusion.encoders.GIN", "init_args": {"dim": 16, "layers": 2}}


def validations(folder):
    with (folder / "log.csv").open() as file:
        return [float(row["value"]) for row in csv.DictReader(file) if row["name"].startswith("val/")]


def test_running_statistics_are_the_first_ranks_as_under_ddp(card, tmp_path):
    """Each rank scores its share of the validation molecules by the same ones."""
    for name, strategy in (("ddp", DDP), ("fsdp", FSDP)):
        settings = {"encoder": GIN, "batch": 4, "epochs": 2, "overrides": [STEADY, *strategy]}
        together(2, fit, tmp_path / name, card, "Property", **settings)
    assert len(validations(tmp_path / "ddp")) >= 8
    assert validations(tmp_path / "fsdp") == pytest.approx(validations(tmp_path / "ddp"), rel=1e-4)


def test_a_fusion_is_as_under_ddp(card, tmp_path):
    """Layers called four times a step, tied words, re-ranking through the matching head; and a frozen part."""
    encoder = copy.deepcopy(QFORMER)
    encoder["init_args"] |= {"encoder": GIN, "layers": 2}
    settings = {"batch": 4, "encoder": encoder, "rerank": 2, "epochs": 2}
    found = {}
    for name, strategy in (("ddp", DDP), ("fsdp", FSDP)):
        found[name] = together(2, fit, tmp_path / name, card, "Retrieval", overrides=[STEADY, *strategy], **settings)
    same(weights(tmp_path / "ddp"), weights(tmp_path / "fsdp"), atol=1e-4)  # steps are of 3e-3; a graph's sums have no order
    assert found["fsdp"][0]["metrics"] == found["fsdp"][1]["metrics"] == pytest.approx(found["ddp"][0]["metrics"], abs=1e-4)
    frozen = {"class_path": "molfusion.encoders.Frozen", "init_args": {"encoder": UNIMOL}}
    ((result, whole, _), _) = together(2, watched, tmp_path / "probe", card, "Property", encoder=frozen, epochs=1, overrides=FSDP)
    assert whole == []  # frozen parameters are shared out too
    assert result["cost"]["trained_parameters"] < result["cost"]["encoder_parameters"]


# -- what must not happen in silence -----------------------------------------------------------------


class Parts(nn.Module):
    """Like a task, as far as sharding knows one."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 2)

    def training_step(self, x):
        return self.b(self.a(x)).square().mean()

    def validation_step(self): ...

    def test_step(self): ...

    def evaluate(self): ...


def pieces(shape):
    """Weights of rank 0 before, and of this rank after sharding; and what is said of a mesh or a part that cannot be."""
    from torch.distributed.device_mesh import init_device_mesh

    from molfusion.sharding import ShardingError, check_sharded, shard

    rank = int(os.environ["LOCAL_RANK"])
    torch.distributed.init_process_group("gloo", rank=rank, world_size=2)
    torch.manual_seed(0)
    first = Parts().a.weight.tolist()
    torch.manual_seed(rank)
    module = Parts()
    try:
        shard(module, init_device_mesh("cpu", shape, mesh_dim_names=("data_parallel", "tensor_parallel")))
    except ShardingError as error:
        return str(error)
    after = module.a.weight.full_tensor().tolist()
    module.late = nn.Linear(2, 2)
    with pytest.raises(ShardingError, match=r"late\.weight, late\.bias: 2 parameters train and are not sharded"):
        check_sharded(module)
    return first == after


def test_ranks_start_alike_and_nothing_trains_alone():
    assert together(2, pieces, (2, 1)) == [True, True]


def test_tensor_parallel_ranks_are_refused():
    """They would not sum their gradients, and nobody would notice."""
    for told in together(2, pieces, (1, 2)):
        assert "splits tensors over 2 processes" in told
        assert "FullyShardedStrategy" in told


# -- the command line, with Lightning's own launcher -------------------------------------------------


def test_the_shipped_file_on_the_command_line(card, tmp_path):
    """In bf16, as the file says; both processes are started by the trainer."""
    root = shipped("experiments")
    files = [root / "base.yaml", root / "hardware" / "fsdp.yaml", root / "tasks" / "retrieval.yaml"]
    (tmp_path / "encoder.yaml").write_text(yaml.safe_dump(FINGERPRINT))
    (tmp_path / "text.yaml").write_text(yaml.safe_dump(TEXT))
    command = [sys.executable, "-m", "molfusion", "fit", "--run", tmp_path / "run"]
    command += [word for file in files for word in ("-c", file)]
    command += ["--model.encoder", tmp_path / "encoder.yaml", "--model.text", tmp_path / "text.yaml", "--data.card", card]
    command += ["--data.batch_size", "4", "--trainer.accelerator", "cpu", "--trainer.devices", "2", "--trainer.max_epochs", "1"]
    done = subprocess.run([str(w) for w in command], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("metrics.json, predictions.parquet") == 1, "only the first process speaks"
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["cost"]["steps"] == 2
    again = [sys.executable, "-m", "molfusion", "export", str(tmp_path / "run"), "--checkpoint", "last"]
    assert subprocess.run(again, capture_output=True, text=True, timeout=240).returncode == 0
    exported = load_file(tmp_path / "run" / "encoder.safetensors")
    last = weights(tmp_path / "run")
    assert all(torch.equal(value, last[f"encoder.{name}"]) for name, value in exported.items())

"""kill -9 of a training at random instants: it resumes each time and ends as if nothing had happened."""

import json
import os
import signal
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import molfusion.runner as runner
from molfusion.callbacks import LastCheckpoint
from molfusion.tasks.base import Task
from tests.data.test_failures import forked
from tests.tasks.helpers import TEXT, UNIMOL, fit
from tests.test_runs import weights

STEP = Task.training_step


def slowly(task, batch, index):
    time.sleep(0.02)
    return STEP(task, batch, index)


def steps(folder):
    """Of the checkpoint that a resumed run would go on from; a kill can come before there is one."""
    path = folder / "checkpoints" / "last.ckpt"
    return torch.load(path, weights_only=True)["global_step"] if path.is_file() else 0


@pytest.mark.parametrize(
    ("every", "interval", "accumulate", "expected"),
    [
        (1, 5, 1, [1, 2, 3, 4, 6, 7, 8, 9]),
        (4, 5, 1, [4, 9]),  # four after the validation at 5
        (5, 5, 1, []),  # validation writes those
        (3, 2, 1, [3, 8]),  # of 2, 4, 5, 7, 9, 10 none: a validation follows
        (1, 100, 2, [1, 2, 3, 4]),  # not again while gradients pile up
    ],
)
def test_no_checkpoint_between_a_batch_and_its_validation(every, interval, accumulate, expected):
    """Two epochs of five batches. Resumed from there, a run would leave the validation out and count its epochs wrong."""
    saved = []
    trainer = SimpleNamespace(
        global_step=0, check_val_every_n_epoch=1, val_check_batch=interval,
        is_last_batch=False, state=SimpleNamespace(fn="fit"), save_checkpoint=lambda path: saved.append(trainer.global_step),
    )  # fmt: skip
    callback = LastCheckpoint("last.ckpt", every)
    callback.on_train_start(trainer, None)
    for batch in range(10):
        index = batch % 5
        trainer.global_step = (batch + 1) // accumulate
        trainer.is_last_batch = index == 4
        callback.on_train_batch_end(trainer, None, None, None, index)
        if trainer.is_last_batch:
            written = len(saved)
            callback.on_validation_end(trainer, None)
            del saved[written:]
    assert saved == expected


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_twenty_times_it_ends_with_the_same_weights(card, tmp_path, monkeypatch):
    """Dropout, drawn sentences, order, optimiser, schedule, best so far; imports are paid once, as children are forked."""
    monkeypatch.setattr(runner, "CHECKPOINT_EVERY", 1)
    monkeypatch.setattr(Task, "training_step", slowly)
    rng = np.random.default_rng(0)
    whole, killed = tmp_path / "whole", tmp_path / "killed"

    settings = {"encoder": UNIMOL, "text": TEXT, "epochs": 24, "batch": 3, "overrides": ["data.sentences=1"]}

    def start(folder):
        return forked(lambda: fit(folder, card, "Retrieval", **settings))

    begun = time.monotonic()
    process = start(whole)
    process.join()
    assert process.exitcode == 0
    usual = (time.monotonic() - begun) / steps(whole)
    resumed = set()
    for _ in range(20):
        if steps(killed) > 0.8 * steps(whole):  # the machine has got faster since `usual`: the next might end unkilled
            break
        process, before = start(killed), steps(killed)
        wanted = before + rng.integers(5)
        while steps(killed) < wanted and process.is_alive():
            time.sleep(0.005)
        # Also while it starts, validates, or writes a checkpoint.
        time.sleep(rng.random() * (3 * usual if wanted > before else 1.0))
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        assert process.exitcode == -signal.SIGKILL, "it was over before it could be killed"
        assert steps(killed) >= before, "something was lost"
        resumed.add(steps(killed))
    assert len(resumed) > 8, "too many kills before the first step"
    process = start(killed)
    process.join()
    assert process.exitcode == 0
    for name in ("last", "best"):
        one, two = weights(whole, name), weights(killed, name)
        assert all(torch.equal(one[k], two[k]) for k in one)
    scores = [json.loads((f / "metrics.json").read_text())["metrics"] for f in (whole, killed)]
    assert scores[0] == scores[1]
    assert (whole / "predictions.parquet").read_bytes() == (killed / "predictions.parquet").read_bytes()

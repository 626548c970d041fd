"""Training steps a second over a frozen encoder, run in every step or read from its cached tokens.

    python -m benchmarks cached_tokens                                # tiny Uni-Mol and Q-Former, CPU
    python -m benchmarks.cached_tokens --encoder experiments/encoders/unimol.yaml --steps 10 --batch-size 16

Both train the tiny Q-Former on the demo card with the same seed, in turn, `--repeats` times; the losses of all steps are
compared. The encoder's weights are random: they do not change its speed.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import torch
import yaml
from safetensors.torch import save_file

from benchmarks.table import HEAD, Row, Table, lines, machine
from molfusion.build import build
from molfusion.cli import main as molfusion
from molfusion.config import compose
from molfusion.runner import Run

FILES = ["experiments/base.yaml", "experiments/tasks/retrieval.yaml"]
ENCODER = "experiments/encoders/tiny/unimol.yaml"
QFORMER = "experiments/encoders/tiny/qformer_unimol.yaml"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", default=ENCODER)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--accelerator", default="cpu")
    args = parser.parse_args()
    torch.set_num_threads(1)
    print("\n".join([machine(), "", HEAD, *lines("cached_tokens", measure(**vars(args)))]))


def table(quick: bool) -> Table:
    return measure(steps=6 if quick else 30, repeats=1 if quick else 2)


def measure(
    encoder: str = ENCODER, steps: int = 60, batch_size: int = 64, repeats: int = 3, accelerator: str = "cpu"
) -> Table:
    speeds: dict[str, list[float]] = {"frozen": [], "cached": []}
    losses: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name, contextlib.redirect_stdout(sys.stderr):
        folder = Path(name)
        frozen = with_weights(encoder, folder)
        words = ["export", str(frozen), "--tokens", "--out", str(folder / "tokens.yaml"), "--data.card", "demo"]
        assert molfusion([*words, f"--trainer.accelerator={accelerator}"]) == 0
        whole = {"class_path": "molfusion.encoders.Frozen", "init_args": {"encoder": str(frozen)}}
        for repeat in range(repeats):
            for side, read in {"frozen": whole, "cached": str(folder / "tokens.yaml")}.items():
                speed, losses[side] = train(read, folder / f"{side}{repeat}", steps, batch_size, accelerator)
                speeds[side].append(speed)
    apart = [abs(a - b) for a, b in zip(losses["frozen"], losses["cached"], strict=True)]
    return Table(
        f"{Path(encoder).stem} frozen under the tiny Q-Former, demo card, batches of {batch_size}, {steps} steps, {accelerator}",
        [Row("training from cached tokens", speeds["cached"], speeds["frozen"], "steps/s", more_is_better=True)],
        f"plain: the encoder in every step. The first loss differs by {apart[0]:.2g}, the {len(apart)} by at most "
        f"{max(apart):.2g} (it rounds otherwise in padded batches, and training amplifies it).",
    )


def with_weights(encoder: str, folder: Path) -> Path:
    """The encoder's fragment with random weights of its own, so that both sides have the same."""
    tree = compose([encoder]).tree
    task = {"class_path": "molfusion.tasks.Property", "init_args": {"encoder": tree}}
    made = build(compose([], [("model", task), ("data", {"card": "demo"})]), folder).task.exports()["encoder"]
    save_file(made.state_dict(), folder / "encoder.safetensors")
    path = folder / "encoder.yaml"
    arguments = {"encoder": tree, "weights": "./encoder.safetensors"}
    path.write_text(yaml.safe_dump({"class_path": "molfusion.encoders.restore", "init_args": arguments}))
    return path


def train(
    encoder: object, folder: Path, steps: int, batch_size: int, accelerator: str
) -> tuple[float, list[float]]:
    """Steps a second of training alone (of CPU time on a CPU, so that other work does not count), and every step's loss."""
    config = compose(
        FILES,
        [
            ("data", "experiments/data/demo.yaml"), ("data.batch_size", batch_size),
            ("model.encoder", QFORMER), ("model.encoder.encoder", encoder),
            ("trainer", {"max_steps": steps, "accelerator": accelerator, "log_every_n_steps": 1}),
            ("trainer", {"limit_val_batches": 1, "limit_test_batches": 1}),
        ],
    )  # fmt: skip
    clock = Clock(time.process_time if accelerator == "cpu" else time.perf_counter)
    Run(config, folder, [clock]).fit()
    with (folder / "log.csv").open() as file:
        losses = [float(row["value"]) for row in csv.DictReader(file) if row["name"] == "train/loss"]
    return clock.steps / clock.seconds, losses


class Clock(L.Callback):
    """From the end of the first step of an epoch to the end of its last one, loading included."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.now, self.steps, self.seconds, self._last = now, 0, 0.0, 0.0

    def on_train_batch_end(self, trainer: L.Trainer, module: L.LightningModule, out: Any, batch: Any, index: int) -> None:
        now = self.now()
        if index > 0:
            self.steps += 1
            self.seconds += now - self._last
        self._last = now


if __name__ == "__main__":
    main()

"""Training steps a second over a frozen encoder, run in every step or read from its cached tokens.

    python benchmarks/cached_tokens.py                                                # tiny Uni-Mol and Q-Former, CPU
    python benchmarks/cached_tokens.py --encoder experiments/encoders/unimol.yaml --steps 10 --batch-size 16

Both train the tiny Q-Former on the demo card with the same seed, in turn, `--repeats` times; the losses of all steps are
compared. The encoder's weights are random: they do not change its speed. Set OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import argparse
import csv
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import torch
import yaml
from safetensors.torch import save_file

from molfusion.build import build
from molfusion.cli import main as molfusion
from molfusion.config import compose
from molfusion.runner import Run

FILES = ["experiments/base.yaml", "experiments/tasks/retrieval.yaml"]
QFORMER = "experiments/encoders/tiny/qformer_unimol.yaml"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", default="experiments/encoders/tiny/unimol.yaml")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--accelerator", default="cpu")
    args = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        frozen = with_weights(args.encoder, folder)
        start = time.perf_counter()
        words = ["export", str(frozen), "--tokens", "--out", str(folder / "tokens.yaml"), "--data.card", "demo"]
        assert molfusion([*words, f"--trainer.accelerator={args.accelerator}"]) == 0
        print(f"export: {time.perf_counter() - start:.1f} s, conformers included if they were not in the cache\n")
        whole = {"class_path": "molfusion.encoders.Frozen", "init_args": {"encoder": str(frozen)}}
        sides = {"frozen": whole, "cached": str(folder / "tokens.yaml")}
        best = dict.fromkeys(sides, 0.0)
        losses: dict[str, list[float]] = {}
        for repeat in range(args.repeats):
            for side, encoder in sides.items():
                speed, losses[side] = train(encoder, folder / f"{side}{repeat}", args)
                best[side] = max(best[side], speed)
                print(f"{side} {speed:7.2f} steps/s", flush=True)
        apart = [abs(a - b) for a, b in zip(losses["frozen"], losses["cached"], strict=True)]
        print(f"\nbest: frozen {best['frozen']:.2f}, cached {best['cached']:.2f} steps/s: {best['cached'] / best['frozen']:.2f} "
              f"times as fast; the first loss differs by {apart[0]:.2g}, the {len(apart)} by at most {max(apart):.2g} "
              "(the encoder rounds otherwise in padded batches, and training amplifies it)")  # fmt: skip


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


def train(encoder: object, folder: Path, args: argparse.Namespace) -> tuple[float, list[float]]:
    """Steps a second of training alone (of CPU time on a CPU, so that other work does not count), and every step's loss."""
    config = compose(
        FILES,
        [
            ("data", "experiments/data/demo.yaml"), ("data.batch_size", args.batch_size),
            ("model.encoder", QFORMER), ("model.encoder.encoder", encoder),
            ("trainer", {"max_steps": args.steps, "accelerator": args.accelerator, "log_every_n_steps": 1}),
            ("trainer", {"limit_val_batches": 1, "limit_test_batches": 1}),
        ],
    )  # fmt: skip
    clock = Clock(time.process_time if args.accelerator == "cpu" else time.perf_counter)
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

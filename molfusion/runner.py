"""A run is a folder: config.yaml, log.csv, checkpoints/, metrics.json, predictions.parquet, encoder.yaml and its weights."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
import yaml

from molfusion.build import Built, build
from molfusion.callbacks import Meter, Validated, checkpoints
from molfusion.config import Composed, ConfigError, compose, digest
from molfusion.data.datamodule import MoleculeData
from molfusion.describe import name_of
from molfusion.export import export_encoders
from molfusion.paths import atomic
from molfusion.portable import carried, relative
from molfusion.provenance import provenance
from molfusion.rows import write_rows
from molfusion.tasks.base import Task
from molfusion.weights.read import step_of

CHECKPOINT_EVERY = 200  # steps between two writes of last.ckpt


@dataclass
class Run:
    """One training, from config to metrics.

    Args:
        config: composed.
        folder: of the run; made if need be, continued if it holds an unfinished run of the same config.
        callbacks: such as a progress bar.
        allowed: import prefixes beyond the trusted ones.
    """

    config: Composed
    folder: Path
    callbacks: Sequence[L.Callback] = ()
    allowed: Sequence[str] = ()

    def fit(self, resume: Path | None = None) -> dict[str, Any]:
        """Train; test the checkpoint that was best on validation; export. A finished run is only read.

        Raises:
            ConfigError: the folder holds a run of another config.
        """
        finished = self._claim()
        if finished is not None:
            return finished
        meter, validated = Meter(), Validated()
        built = self.built([meter, validated, *self._checkpoints()])
        last = resume or self.folder / "checkpoints" / "last.ckpt"
        started = time.time(), time.process_time()
        torch.manual_seed(int(self.config.tree.get("seed_everything") or 0))
        built.trainer.fit(
            built.task, built.data, ckpt_path=last if last.is_file() else None, weights_only=True
        )
        best = best_of(self.folder)
        metrics = {**self._validation(built, validated, best), **self.score(built, "test", best)}
        cost = {
            **meter.summary(),
            "steps": built.trainer.global_step,
            "wall_seconds": round(time.time() - started[0], 1),
            "cpu_seconds": round(time.process_time() - started[1], 1),  # of this process, on all its cores
            **_parameters(built.task),
        }
        export_encoders(self.folder, built.task, self.config)
        return self._written(built, metrics, cost)

    def ask(self, trained: Path) -> dict[str, Any]:
        """Score the best checkpoint of another run under this config; nothing is trained, and the cost is that run's."""
        finished = self._claim()
        if finished is not None:
            return finished
        built = self.built()
        best = self.checkpoint(str(best_of(trained)))
        metrics = {**self.score(built, "val", best), **self.score(built, "test", best)}
        return self._written(built, metrics, json.loads((trained / "metrics.json").read_text())["cost"])

    def evaluate(self, split: str, checkpoint: str) -> dict[str, float]:
        """Metrics of a checkpoint (`best`, `last` or a file) on `val` or `test`."""
        built = self.built()
        metrics = self.score(built, split, self.checkpoint(checkpoint))
        if built.trainer.is_global_zero:
            self._write_predictions(built, self.folder / f"{split}-{built.data.card.name}.parquet")
        return metrics

    def checkpoint(self, name: str) -> Path:
        """The file behind `best`, `last` or a path.

        Raises:
            ConfigError: no such file.
        """
        path = self.folder / "checkpoints" / f"{name}.ckpt" if name in {"best", "last"} else Path(name)
        if not path.is_file():
            raise ConfigError(f"no checkpoint {path}; `molfusion fit` writes best.ckpt and last.ckpt")
        return path

    # -- parts ---------------------------------------------------------------------------------------

    def _claim(self) -> dict[str, Any] | None:
        """Write the config, or check that the folder's is the same; metrics if it is finished."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "config.yaml"
        if path.is_file():
            held = compose([path])
            if digest(held.tree) != digest(self.config.tree):
                raise ConfigError(f"{self.folder} holds a run of another config; name another folder with --run")
        else:
            with atomic(path) as temporary:
                temporary.write_text(dumped(self.config, self.folder))
        with suppress(FileNotFoundError):
            finished: dict[str, Any] = json.loads((self.folder / "metrics.json").read_text())
            return finished
        return None

    def _checkpoints(self) -> list[L.Callback]:
        if self.config.tree.get("trainer", {}).get("fast_dev_run"):
            return []
        return checkpoints(self.folder, "val/score", CHECKPOINT_EVERY)

    def built(self, callbacks: Sequence[L.Callback] = ()) -> Built:
        """Trainer, task and data of the run's config."""
        return build(self.config, self.folder, [*callbacks, *self.callbacks], self.allowed)

    def score(self, built: Built, split: str, checkpoint: Path) -> dict[str, float]:
        """Metrics of a checkpoint on `val` or `test`."""
        loop = built.trainer.validate if split == "val" else built.trainer.test
        path = checkpoint if checkpoint.is_file() else None
        found = loop(built.task, datamodule=built.data, ckpt_path=path, weights_only=True, verbose=False)
        if not found:
            raise ConfigError(f"card {built.data.card.name}: no molecule is left in {split}, so nothing can be scored there")
        return dict(found[0])

    def _validation(self, built: Built, newest: Validated, best: Path) -> dict[str, float]:
        """Metrics of the best checkpoint on `val`: asked again only if another was validated last, or less was asked then."""
        if built.task.validates_in_full and best.is_file() and step_of(best) == newest.step:
            return newest.metrics
        return self.score(built, "val", best)

    def _written(self, built: Built, metrics: dict[str, float], cost: dict[str, Any]) -> dict[str, Any]:
        """metrics.json and what it rests on; with it the run is finished."""
        task, data = built.task, built.data
        result = {
            "name": name_of(self.config.tree),
            "task": name_of({"model": {"class_path": self.config.tree["model"]["class_path"]}}),
            "encoder": name_of(self.config.tree, "encoder"),
            "metrics": metrics,
            "cost": cost,
            "data": data_record(data),
            "seed": self.config.tree.get("seed_everything"),
            "config_digest": digest(self.config.tree),
            "selected_by": task.monitor,
            "provenance": provenance(_device(built.trainer)),
        }
        if built.trainer.is_global_zero:
            self._write_predictions(built, self.folder / "predictions.parquet")
            _write_json(result, self.folder / "metrics.json")
        built.trainer.strategy.barrier()
        return result

    def _write_predictions(self, built: Built, path: Path) -> None:
        rows = [{"split": s, **row} for s, rows in built.task.observed.items() for row in rows]
        if rows:
            write_rows(rows, path)


def best_of(folder: Path) -> Path:
    """The checkpoint of a run that was best on validation."""
    return folder / "checkpoints" / "best.ckpt"


def _parameters(task: Task) -> dict[str, int]:
    return {
        "parameters": sum(p.numel() for p in task.parameters()),
        "trained_parameters": sum(p.numel() for p in task.trained_parameters()),
        "encoder_parameters": sum(p.numel() for p in task.exports()["encoder"].parameters()),
    }


def data_record(data: MoleculeData) -> dict[str, Any]:
    """Which data a number came from, for metrics.json."""
    return {
        "card": data.card.name,
        "card_digest": data.card.digest(),
        "title": data.card.title,
        "licence": data.card.licence,
        "cite": data.card.cite,
        "records": {split: len(records) for split, records in data.records.items()},
        "dropped": len(data.dropped),
        "absent": sorted(data.card.files.keys() - set(data.card.present())),
        "views": sorted(map(repr, data.views)),
        "targets": _targets(data),
    }


def _targets(data: MoleculeData) -> list[dict[str, Any]]:
    """Name, unit, kind and spread in training of each target."""
    values = data.target_values("train")
    return [
        {"name": t.name, "unit": t.unit, "kind": t.kind, "spread": float(np.nanstd(values[:, i]))}
        for i, t in enumerate(data.targets)
    ]


def on_one_device(config: Composed, **trainer: Any) -> Composed:
    """The config for one process, however many trained it; `trainer` overrules more."""
    alone = {"devices": 1, "num_nodes": 1, "strategy": "auto"}
    return Composed({**config.tree, "trainer": {**config.tree.get("trainer", {}), **alone, **trainer}}, config.origin)


def run_folder(config: Composed, name: str | None = None) -> Path:
    """The folder named, or runs/<what it is>-<digest of the config>."""
    return Path(name) if name else Path("runs") / f"{name_of(config.tree)}-{digest(config.tree)[:8]}"


def _device(trainer: L.Trainer) -> str:
    if trainer.strategy.root_device.type == "cuda":
        return torch.cuda.get_device_name(trainer.strategy.root_device)
    return f"cpu, {torch.get_num_threads()} threads"


def dumped(config: Composed, folder: Path) -> str:
    """The config as YAML; the run can move, alone or with what it is built on."""
    tree = {**config.tree, "model": carried(config.tree.get("model"), folder)}
    return str(yaml.safe_dump(relative(tree, folder), sort_keys=False, allow_unicode=True))


def _write_json(value: dict[str, Any], path: Path) -> None:
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1, ensure_ascii=False))

"""Let an encoder train itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor

from molfusion.batch import MoleculeBatch
from molfusion.encoders.base import Encoder, Objective
from molfusion.tasks.base import Task
from molfusion.tasks.schedule import Schedule


class Pretraining(Task):
    """Minimise the weighted sum of an objective's own losses; validation is the same sum on held-out molecules."""

    def __init__(
        self,
        objective: Objective,
        weights: dict[str, float] | None = None,
        optimizer: OptimizerCallable = torch.optim.AdamW,
        schedule: Schedule | None = None,
        start: Path | None = None,
    ) -> None:
        """Pretraining of the encoder inside an objective.

        Args:
            objective: such as `UniMolPretraining(encoder)`; what is exported is its encoder.
            weights: of its losses; 1 where none is given.
            optimizer: given the parameters that train.
            schedule: of its learning rate.
            start: a checkpoint of the same task to start from.
        """
        super().__init__(optimizer, schedule, start, weights)
        self.objective = objective
        self.views = objective.views

    def losses(self, batch: MoleculeBatch) -> dict[str, Tensor]:
        return self.objective.losses(batch)

    def observe(self, batch: MoleculeBatch) -> dict[str, Any]:
        # The same noise at every validation, so that epochs compare; and training's own stream stays untouched.
        with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
            torch.manual_seed(len(self._observed))
            return {"size": len(batch), "losses": {k: v.item() for k, v in self.losses(batch).items()}}

    def evaluate(self, observed: list[dict[str, Any]], split: str) -> tuple[dict[str, float], list[dict[str, Any]]]:
        total = sum(batch["size"] for batch in observed)
        means = {
            name: sum(batch["losses"][name] * batch["size"] for batch in observed) / total
            for name in observed[0]["losses"]
        }
        loss = float(self.weighted({name: torch.tensor(value) for name, value in means.items()}))
        return {**means, "loss": loss, "score": -loss}, []

    def exports(self) -> dict[str, Encoder]:
        return {"encoder": self.objective.encoder}

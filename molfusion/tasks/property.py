"""Predict numbers: a probe of what a frozen representation holds, or fine-tuning."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from lightning.pytorch.cli import OptimizerCallable
from numpy.typing import NDArray
from torch import Tensor, nn

from molfusion.batch import MoleculeBatch, Target
from molfusion.encoders.base import Encoder, NotApplicable
from molfusion.metrics.property import scores, selection_score
from molfusion.nn.pooling import masked_mean
from molfusion.nn.precision import float32_island
from molfusion.nn.ranks import mean_over_ranks
from molfusion.tasks.base import Task, named_rows
from molfusion.tasks.schedule import Schedule


class Property(Task):
    """Tokens → one → head → K targets, in the card's units. A probe is `Property(Frozen(encoder))`.

    Regression targets are standardised by their training mean and spread and fitted by squared or absolute error;
    classification targets by binary cross-entropy. What was not measured carries no loss.
    """

    needs = "numbers"

    def __init__(
        self,
        encoder: Encoder,
        head: Literal["linear", "mlp"] = "mlp",
        loss: Literal["mae", "mse"] = "mae",
        hidden: int = 128,
        dropout: float = 0.0,
        readout: Literal["mean", "token", "sum"] = "mean",
        norm: bool = True,
        optimizer: OptimizerCallable = torch.optim.AdamW,
        schedule: Schedule | None = None,
        start: Path | None = None,
    ) -> None:
        """A head on an encoder.

        Args:
            encoder: any; `Frozen(…)` for a probe.
            head: on the pooled token.
            loss: of regression targets.
            hidden: width of the `mlp` head.
            dropout: in the `mlp` head.
            readout: `mean` of the tokens; the `token` that stands for the molecule, if the encoder has one; or the `sum`
                of what the head makes of each atom's token, for what grows with the molecule.
            norm: layer norm of the token that the head reads, so that encoders of all scales meet it alike.
            optimizer: given the parameters that train.
            schedule: of its learning rate.
            start: a checkpoint of the same task to start from.
        """
        super().__init__(optimizer, schedule, start)
        self.encoder, self.views = encoder, encoder.views
        self.kind_of_head, self.loss, self.hidden, self.dropout = head, loss, hidden, dropout
        self.targets: tuple[Target, ...] = ()
        self.head: nn.Module | None = None
        self.norm: nn.Module = nn.LayerNorm(encoder.dim, elementwise_affine=False) if norm else nn.Identity()
        self.readout = readout
        if readout == "token" and not encoder.summary_tokens:
            raise NotApplicable(f"{type(encoder).__name__} has no token for the whole molecule: set readout to mean or sum")

    def setup(self, stage: str) -> None:
        """Learn from the data how many targets there are, and their mean and spread in training."""
        if self.targets:
            return
        super().setup(stage)
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        self.targets = data.targets
        values = data.target_values("train")
        mean, std = np.zeros(len(self.targets)), np.ones(len(self.targets))
        for i, target in enumerate(self.targets):
            known = values[np.isfinite(values[:, i]), i]
            if len(known) == 0:
                raise NotApplicable(f"target {target.name!r} was measured for no training molecule")
            if target.kind == "regression":
                mean[i], std[i] = known.mean(), known.std() or 1.0
            elif not set(np.unique(known)) <= {0.0, 1.0}:
                raise NotApplicable(f"target {target.name!r} is a classification, but holds values other than 0 and 1")
        self._standardise(mean, std)

    def _standardise(self, mean: NDArray[np.float64], std: NDArray[np.float64]) -> None:
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32))
        self.register_buffer("is_class", torch.tensor([t.kind == "classification" for t in self.targets]))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        checkpoint["targets"] = [asdict(t) for t in self.targets]

    def recall(self, checkpoint: dict[str, Any]) -> None:
        self.targets = tuple(Target(**t) for t in checkpoint["targets"])
        self._standardise(np.zeros(len(self.targets)), np.ones(len(self.targets)))  # the numbers come with the weights

    mean: Tensor
    std: Tensor
    is_class: Tensor

    def configure_model(self) -> None:
        if self.head is None:
            self.head = self._make_head(self.encoder.dim, len(self.targets))
        super().configure_model()

    def _make_head(self, dim: int, outputs: int) -> nn.Module:
        if self.kind_of_head == "linear":
            return nn.Linear(dim, outputs)
        return nn.Sequential(
            nn.Linear(dim, self.hidden), nn.GELU(), nn.Dropout(self.dropout), nn.Linear(self.hidden, outputs)
        )

    def forward(self, batch: MoleculeBatch) -> Tensor:
        """[B, K]: standardised values, or logits."""
        x, mask = self.encoder(batch)
        first = self.encoder.summary_tokens
        if self.readout == "token":
            return self._answered(x[:, 0])
        x, mask = x[:, first:], mask[:, first:]
        if self.readout == "mean":
            return self._answered(masked_mean(x, mask))
        return (self._answered(x) * mask.unsqueeze(-1)).sum(1)

    def _answered(self, x: Tensor) -> Tensor:
        assert self.head is not None
        out: Tensor = self.head(self.norm(x))
        return out.float()

    def losses(self, batch: MoleculeBatch) -> dict[str, Tensor]:
        out, y = self(batch), batch.targets
        known = torch.isfinite(y)
        y = torch.where(known, y, torch.zeros_like(y))
        with float32_island(out):
            wanted = (y - self.mean) / self.std
            error = F.l1_loss(out, wanted, reduction="none") if self.loss == "mae" else (out - wanted).square()
            crossed = F.binary_cross_entropy_with_logits(out, y, reduction="none")
            each = torch.where(self.is_class, crossed, error) * known
            return {"loss": each.sum() / mean_over_ranks(known.sum().float()).clamp(min=1e-6)}

    def predict(self, batch: MoleculeBatch) -> Tensor:
        """[B, K] in the card's units; probabilities of classes."""
        out = self(batch)
        return torch.where(self.is_class, torch.sigmoid(out), out * self.std + self.mean)

    def observe(self, batch: MoleculeBatch) -> dict[str, Any]:
        predicted = self.predict(batch).cpu()
        return {"ids": batch.ids, "groups": batch.groups, "predicted": predicted, "measured": batch.targets.cpu()}

    def predictions(self, batch: MoleculeBatch) -> list[dict[str, Any]]:
        """One column a target."""
        names = [t.name for t in self.targets]
        return [
            {"id": key, "smiles": smiles, **dict(zip(names, row, strict=True))}
            for key, smiles, row in zip(batch.ids, batch.smiles, self.predict(batch).tolist(), strict=True)
        ]

    def evaluate(self, observed: list[dict[str, Any]], split: str) -> tuple[dict[str, float], list[dict[str, Any]]]:
        unique = {row[0]: row for row in named_rows(observed, ["ids", "groups", "predicted", "measured"])}
        predicted = np.stack([row[2].double().numpy() for row in unique.values()])
        measured = np.stack([row[3].double().numpy() for row in unique.values()])
        metrics = scores(predicted, measured, self.targets)
        metrics["score"] = selection_score(predicted, measured, self.targets, self.std.double().cpu().numpy())
        rows = [
            {"id": key, "group": row[1], "target": t.name, "predicted": float(p), "measured": float(y)}
            for (key, row), ps, ys in zip(unique.items(), predicted, measured, strict=True)
            for t, p, y in zip(self.targets, ps, ys, strict=True)
        ]
        return metrics, rows

    def exports(self) -> dict[str, Encoder]:
        return {"encoder": self.encoder}

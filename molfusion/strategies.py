"""The papers by name: a task bound to its fusion with the paper's own objective."""

from __future__ import annotations

from pathlib import Path

import torch
from lightning.pytorch.cli import OptimizerCallable

from molfusion.encoders.base import Encoder, Frozen
from molfusion.encoders.unimol import UniMol
from molfusion.fusion.qformer import QFormer
from molfusion.tasks.retrieval import Retrieval
from molfusion.tasks.schedule import Schedule


class QFormerProjection(Retrieval):
    """3D-MoLM, stage 1 (Li et al. 2024): frozen Uni-Mol → Q-Former, trained by contrasting, matching and captioning."""

    def __init__(
        self,
        encoder: Encoder | None = None,
        rerank: int = 64,
        optimizer: OptimizerCallable = torch.optim.AdamW,
        schedule: Schedule | None = None,
        start: Path | None = None,
    ) -> None:
        """The strategy.

        Args:
            encoder: a `QFormer`; by default the paper's, over a frozen Uni-Mol.
            rerank: of how many candidates the matching head has a say.
            optimizer: given the parameters that train.
            schedule: of its learning rate.
            start: a checkpoint of the same task to start from.
        """
        super().__init__(
            encoder or QFormer(Frozen(UniMol())), rerank=rerank, optimizer=optimizer, schedule=schedule, start=start
        )

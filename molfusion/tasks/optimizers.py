"""Optimisers as recipes name them."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn


class AdamWMatrices(torch.optim.AdamW):
    """AdamW that decays matrices and tables only: no biases, no norms.

    Args:
        params: to train.
        lr: rate.
        betas: of the two averages.
        weight_decay: of parameters with two axes and more.
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        weight_decay: float = 1e-5,
    ) -> None:
        params = list(params)
        groups = [
            {"params": [p for p in params if p.ndim >= 2], "weight_decay": weight_decay},
            {"params": [p for p in params if p.ndim < 2], "weight_decay": 0.0},
        ]
        super().__init__([g for g in groups if g["params"]], lr=lr, betas=betas)

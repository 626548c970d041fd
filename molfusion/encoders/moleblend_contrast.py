"""The other way to align a molecule's graph and its conformer: two readings by one encoder, pulled together."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from molfusion.batch import MoleculeBatch
from molfusion.encoders.base import NotApplicable, Objective
from molfusion.encoders.moleblend import MoleBlend
from molfusion.nn.contrastive import contrastive
from molfusion.nn.init import initialise


class MoleBlendContrast(Objective):
    """InfoNCE between the graph token of the 2D reading and that of the 3D one. Loss: `contrast`.

    Args:
        encoder: with `3d` and at least one relation of the graph; what is trained, and exported.
        width: P of the shared space.
        temperature: to begin with; learned.
        noise: on the coordinates, Å.
    """

    encoder: MoleBlend

    def __init__(self, encoder: MoleBlend, width: int = 256, temperature: float = 0.1, noise: float = 0.0) -> None:
        super().__init__()
        if not (encoder.reads_graph and encoder.reads_space):
            raise NotApplicable(f"a contrast of 2D and 3D needs both; this encoder has {', '.join(encoder.relations)}")
        self.encoder, self.views, self.noise = encoder, encoder.views, noise
        self.graph_head, self.space_head = nn.Linear(encoder.dim, width), nn.Linear(encoder.dim, width)
        initialise(self.graph_head, encoder.dim)
        initialise(self.space_head, encoder.dim)
        self.log_scale = nn.Parameter(torch.full((1,), -math.log(temperature)))

    def losses(self, batch: MoleculeBatch) -> dict[str, Tensor]:
        inputs = self.encoder.inputs(batch)
        if self.noise:
            shift = torch.randn_like(inputs.positions) * self.noise
            inputs = inputs._replace(positions=inputs.positions + shift * inputs.known.unsqueeze(-1))
        graph = tuple(r for r in self.encoder.relations if r != "3d")
        flat = self.graph_head(self.encoder.encode(inputs, relations=graph).x[:, 0])
        solid = self.space_head(self.encoder.encode(inputs, relations=("3d",)).x[:, 0])
        first, second = (nn.functional.normalize(v.float(), dim=-1) for v in (flat, solid))
        return {"contrast": contrastive(first.unsqueeze(1), second, (-self.log_scale).exp(), "gradient").loss}

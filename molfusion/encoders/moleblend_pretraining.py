"""How MoleBLEND trains itself: tell each pair of atoms one relation, ask for all of them, and for the noise on the atoms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from molfusion.batch import MoleculeBatch
from molfusion.chem.relations import HOPS
from molfusion.encoders.base import Objective
from molfusion.encoders.moleblend import RELATIONS, Blend, Inputs, MoleBlend
from molfusion.encoders.moleblend_targets import (
    BOND_CLASSES,
    SPD_CLASSES,
    bond_loss,
    denoising_loss,
    direction_loss,
    spd_loss,
)
from molfusion.nn.denoising import VectorHead
from molfusion.nn.init import initialise
from molfusion.nn.pair_head import PairHead
from molfusion.nn.precision import float32_island


class Draws(NamedTuple):
    """All that is random in one step, dropout apart."""

    noise: Tensor  # [B, N, 3] Å, 0 where there is no position
    blend: Blend | None  # None: relations are summed


class MoleBlendPretraining(Objective):
    """Blend, then predict (§3). Losses: `spd`, `path` (cross-entropy), `direction`, `denoise` (1 - cosine).

    Those of relations that the encoder does not have are left out. The published weights are denoise 6, direction 0.5,
    spd 0.1, path 0.1. Directions are asked of tokens that do not turn with the molecule: they can be learned only as far
    as the data's coordinates come in a frame of their own.

    Args:
        encoder: what is trained, and exported.
        blend: shares of spd, path and 3d among the pairs; of those the encoder has, scaled to 1.
        atoms_in_space: share of atoms that are told their centrality instead of their degree.
        mode: `sum`: every pair and atom is told everything; only the noise is then asked of what is not seen.
        granularity: `molecule`: one draw for each pair of each molecule, the same both ways. `official`: one draw for each
            ordered pair of places, the same in the whole batch.
        noise: Å, spread of the shift along each axis.
        width: of the vectors whose outer product the pair heads read.
        direction_hidden: of the head of directions.
        head_dropout: on the attention of the denoising head.
        by_molecule: denoising loss summed over molecules (`sum_loss`).
        compat: the published denoising head with weights for each axis, atoms at the origin taken for padding, and CIS,
            TRANS and ANY bonds as classes of another type.
    """

    encoder: MoleBlend
    upto: Tensor  # [2, 2] cumulative shares of spd and path, with a conformer and without

    def __init__(
        self,
        encoder: MoleBlend,
        blend: Sequence[float] = (0.2, 0.2, 0.6),
        atoms_in_space: float = 0.6,
        mode: Literal["blend", "sum"] = "blend",
        granularity: Literal["molecule", "official"] = "molecule",
        noise: float = 0.2,
        width: int = 32,
        direction_hidden: int = 256,
        head_dropout: float = 0.1,
        by_molecule: bool = False,
        compat: bool = False,
    ) -> None:
        super().__init__()
        shares = [share * (r in encoder.relations) for r, share in zip(RELATIONS, blend, strict=True)]
        if min(blend) < 0 or sum(shares) <= 0:
            has = ", ".join(encoder.relations)
            raise ValueError(f"blend is {list(blend)}: expected shares of spd, path, 3d, none negative, one of {has} above 0")
        self.encoder, self.views = encoder, encoder.views
        kept = torch.tensor(shares) / sum(shares)
        graph = torch.tensor([*shares[:2], 0.0]) / (sum(shares[:2]) or 1)  # of a molecule without a conformer
        self.register_buffer("upto", torch.stack([kept, graph if sum(shares[:2]) else kept]).cumsum(1)[:, :2], persistent=False)
        self.atoms_in_space, self.mode, self.granularity, self.noise = atoms_in_space, mode, granularity, noise
        self.by_molecule, self.compat = by_molecule, compat
        d = encoder.dim
        heads: dict[str, nn.Module] = {}
        if "spd" in encoder.relations:
            heads["spd"] = PairHead(d, SPD_CLASSES, width)
        if "path" in encoder.relations:
            heads["path"] = PairHead(d, HOPS * BOND_CLASSES, width)
        if "3d" in encoder.relations:
            heads["direction"] = PairHead(d, 3, width, direction_hidden)
            heads["denoise"] = VectorHead(d, encoder.heads, head_dropout, axes=compat)
        self.heads = nn.ModuleDict(heads)
        initialise(self.heads, d)

    def losses(self, batch: MoleculeBatch, generator: torch.Generator | None = None) -> dict[str, Tensor]:
        """Losses of one draw, from `generator` (on the batch's device) or from one seeded by torch's own on the CPU."""
        inputs = self.encoder.inputs(batch)
        return self.losses_of(inputs, self.draw(inputs, generator))

    def draw(self, inputs: Inputs, generator: torch.Generator | None = None) -> Draws:
        """Noise, then relations, then atoms; everything on the device, nothing read back from it."""
        device = inputs.mask.device
        if generator is None:  # a checkpoint holds the state of torch's own
            generator = torch.Generator(device).manual_seed(int(torch.randint(2**62, ())))
        noise = torch.randn(inputs.positions.shape, generator=generator, device=device) * self.noise
        noise = noise * self._movable(inputs).unsqueeze(-1)
        if self.mode == "sum":
            return Draws(noise, None)
        return Draws(noise, Blend(self._relations(inputs, generator), self._atoms(inputs, generator)))

    def losses_of(self, inputs: Inputs, draws: Draws) -> dict[str, Tensor]:
        """Losses of what was drawn."""
        states = self.encoder.encode(inputs._replace(positions=inputs.positions + draws.noise), draws.blend)
        atoms = states.x[:, 1:]
        answers = {name: head(atoms) for name, head in self.heads.items() if name != "denoise"}
        losses: dict[str, Tensor] = {}
        with float32_island(atoms):
            if "spd" in answers:
                losses["spd"] = spd_loss(answers["spd"], inputs.distances)
            if "path" in answers:
                losses["path"] = bond_loss(answers["path"], inputs.hops, self.compat)
            if "direction" in answers:
                losses["direction"] = direction_loss(answers["direction"], inputs.positions, self._movable(inputs))
        if states.delta is not None:
            vectors = self.heads["denoise"](atoms, states.bias, states.delta)
            asked = self._movable(inputs)
            if draws.blend is not None:
                asked = asked & draws.blend.space
            with float32_island(atoms):
                losses["denoise"] = denoising_loss(vectors, draws.noise, asked, self.by_molecule)
        return losses

    def _movable(self, inputs: Inputs) -> Tensor:
        """[B, N]: atoms whose position is known."""
        return inputs.known & (inputs.positions != 0).any(-1) if self.compat else inputs.known

    def _relations(self, inputs: Inputs, generator: torch.Generator) -> Tensor:
        """[B, N, N], or [1, N, N] where the batch shares it."""
        b, n = inputs.mask.shape
        if self.granularity == "official":
            drawn = torch.rand(1, n, n, generator=generator, device=inputs.mask.device)
            upto = self.upto[:1]
        else:
            drawn = torch.rand(b, n, n, generator=generator, device=inputs.mask.device).triu()
            drawn = drawn + drawn.triu(1).transpose(1, 2)
            upto = torch.where(inputs.known.any(1, keepdim=True), self.upto[0], self.upto[1])
        return (drawn.unsqueeze(-1) >= upto[:, None, None, :]).sum(-1)

    def _atoms(self, inputs: Inputs, generator: torch.Generator) -> Tensor:
        """[B, N]."""
        if not self.encoder.reads_graph:
            return inputs.known
        drawn = torch.rand(inputs.mask.shape, generator=generator, device=inputs.mask.device)
        return (drawn < self.atoms_in_space) & inputs.known

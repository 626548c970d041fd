"""How Uni-Mol trains itself (Zhou et al. 2023, §2.2): hide some atoms and shake them, ask for their element, place and
distances.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from molfusion.batch import MoleculeBatch
from molfusion.encoders.base import Objective
from molfusion.encoders.unimol import MASK, SEP, SYMBOLS, UniMol, UniMolInputs, UniMolStates, pair_distances
from molfusion.nn.precision import float32_island

_DISTANCE_MEAN, _DISTANCE_STD = 6.312581655060595, 3.3899264663911888  # Å; the published scale of the distance loss


class UniMolPretraining(Objective):
    """Masked atoms and denoising. Losses: `atom` (cross-entropy), `coordinate` and `distance` (smooth L1), `norm`.

    The published weights are atom 1, coordinate 5, distance 10, norm 0.01. Of the atoms drawn, 90 % become [MASK],
    5 % another element, 5 % keep theirs; all of them are moved by up to `noise` Å along each axis.

    Args:
        encoder: what is trained, and exported.
        hidden_share: share of atoms drawn, at least one a molecule.
        noise: Å.
    """

    encoder: UniMol

    def __init__(self, encoder: UniMol, hidden_share: float = 0.15, noise: float = 1.0) -> None:
        super().__init__()
        self.encoder, self.views = encoder, encoder.views
        self.hidden_share, self.noise = hidden_share, noise
        d, h = encoder.dim, encoder.heads
        self.atom_head = nn.Sequential(nn.Linear(d, d), nn.GELU(), nn.LayerNorm(d), nn.Linear(d, SYMBOLS))
        self.pair_norm = nn.LayerNorm(h)
        self.coordinate_head = nn.Sequential(nn.Linear(h, h), nn.GELU(), nn.Linear(h, 1))
        self.distance_head = nn.Sequential(nn.Linear(h, h), nn.GELU(), nn.LayerNorm(h), nn.Linear(h, 1))

    def losses(self, batch: MoleculeBatch) -> dict[str, Tensor]:
        clean = self.encoder.inputs(batch[self.encoder.view])
        atoms = clean.tokens.gt(SEP) | clean.tokens.eq(3)
        hidden = _draw(atoms, self.hidden_share)
        tokens, positions = self._corrupt(clean, hidden)
        pair_mask = clean.pair_types.gt(0)
        with float32_island(positions):
            distances = pair_distances(positions) * pair_mask
        pair_types = (tokens[:, :, None] * SYMBOLS + tokens[:, None, :]) * pair_mask
        states = self.encoder.encode(tokens, distances, pair_types)
        pairs, delta = pair_states(states)
        real = states.mask
        logits = self.atom_head(states.x[hidden]).float()
        moved = self._denoised(positions, self.pair_norm(delta), real)
        apart = self.distance_head(pairs).squeeze(-1).float()
        apart = (apart + apart.transpose(1, 2)) / 2
        asked = hidden[:, :, None] & atoms[:, None, :]
        wanted = (clean.distances - _DISTANCE_MEAN) / _DISTANCE_STD
        return {
            "atom": F.cross_entropy(logits, clean.tokens[hidden]),
            "coordinate": F.smooth_l1_loss(moved[hidden], clean.positions[hidden]),
            "distance": F.smooth_l1_loss(apart[asked], wanted[asked]),
            "norm": token_norm(states.hidden, real) + pair_norm(delta, real),
        }

    def _corrupt(self, clean: UniMolInputs, hidden: Tensor) -> tuple[Tensor, Tensor]:
        roll = torch.rand(hidden.shape, device=hidden.device)
        other = torch.randint(4, MASK, hidden.shape, device=hidden.device)
        replaced = torch.where(roll < 0.9, torch.full_like(other, MASK), torch.where(roll < 0.95, other, clean.tokens))
        shift = (torch.rand_like(clean.positions) * 2 - 1) * self.noise
        return (
            torch.where(hidden, replaced, clean.tokens),
            clean.positions + shift * hidden.unsqueeze(-1),
        )

    def _denoised(self, positions: Tensor, delta: Tensor, real: Tensor) -> Tensor:
        """x_i + Σ_j w_ij (x_i - x_j) / n: moves with the molecule however it is turned."""
        weight = self.coordinate_head(delta).squeeze(-1).float() * (real[:, :, None] & real[:, None, :])
        towards = positions[:, None, :, :] - positions[:, :, None, :]
        moved: Tensor = positions + (towards * weight.unsqueeze(-1)).sum(2) / real.sum(1).view(-1, 1, 1)
        return moved


def pair_states(states: UniMolStates) -> tuple[Tensor, Tensor]:
    """Pair representation and its change since the input, [B, N, N, H] each; 0 in the columns of padding."""
    padded = ~states.mask[:, None, None, :]
    pairs = states.logits.masked_fill(padded, 0)
    delta = pairs - states.bias.masked_fill(padded, 0)
    return pairs.permute(0, 2, 3, 1), delta.permute(0, 2, 3, 1)


def token_norm(hidden: Tensor, mask: Tensor) -> Tensor:
    """How far the tokens' norm strays from √D by more than 1, mean over molecules."""
    stray = _stray(hidden) * mask
    return (stray.sum(1) / (mask.sum(1) + 1e-10)).mean()


def pair_norm(delta: Tensor, mask: Tensor) -> Tensor:
    """The same of the pairs' change, over real pairs."""
    both = mask[:, :, None] & mask[:, None, :]
    stray = _stray(delta) * both
    return (stray.sum((1, 2)) / (both.sum((1, 2)) + 1e-10)).mean()


def _stray(x: Tensor) -> Tensor:
    norm = (x.float().square().sum(-1) + 1e-10).sqrt()
    return F.relu((norm - x.shape[-1] ** 0.5).abs() - 1)


def _draw(atoms: Tensor, share: float) -> Tensor:
    """[B, N] bool: a share of each molecule's atoms, at least one."""
    count = (atoms.sum(1) * share).round().long().clamp(min=1)
    rank = torch.rand(atoms.shape, device=atoms.device).masked_fill(~atoms, 2.0).argsort(1).argsort(1)
    return (rank < count.unsqueeze(1)) & atoms




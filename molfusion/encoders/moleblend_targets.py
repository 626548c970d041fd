"""What MoleBLEND's pretraining asks of every pair of atoms, and losses that stay finite where nothing can be asked."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from molfusion.chem.graph import BOND_SIZES
from molfusion.chem.relations import HOPS

SPD_CLASSES = 11  # 1 … 10 bonds, and more
_TYPES, _STEREO, _CONJUGATED = 4, 3, 2  # of the bonds that are asked for; dative and CIS, TRANS, ANY are not
BOND_CLASSES = _TYPES * _STEREO * _CONJUGATED
_IGNORED = -100
_UNREACHABLE = 511


def spd_classes(distances: Tensor) -> Tensor:
    """[B, N, N] bonds + 1 -> class, -100 for an atom and itself, for no path and for padding."""
    bonds = distances - 1
    asked = (bonds >= 1) & (distances < _UNREACHABLE)
    return torch.where(asked, bonds.clamp(max=SPD_CLASSES) - 1, _IGNORED)


def bond_classes(hops: Tensor, compat: bool = False) -> Tensor:
    """[B, N, N, HOPS] codes -> [B, N, HOPS, N] class, -100 where the path is over or the bond is of no class.

    Args:
        hops: as the view `relations` has them.
        compat: the published arithmetic, by which CIS, TRANS and ANY are classes of the next bond type.
    """
    code = hops.long() - 1
    kind = code // (BOND_SIZES[1] * BOND_SIZES[2])
    stereo, conjugated = code // BOND_SIZES[2] % BOND_SIZES[1], code % BOND_SIZES[2]
    classes = (kind * _STEREO + stereo) * _CONJUGATED + conjugated
    asked = (code >= 0) & (classes < BOND_CLASSES)
    if not compat:
        asked = asked & (kind < _TYPES) & (stereo < _STEREO)
    return torch.where(asked, classes, _IGNORED).transpose(2, 3)


def mean_cross_entropy(logits: Tensor, classes: Tensor) -> Tensor:
    """Over all that is asked, 0 if nothing is: logits [M, C, …], classes [M, …]."""
    total = F.cross_entropy(logits.float(), classes, ignore_index=_IGNORED, reduction="sum")
    return total / (classes != _IGNORED).sum().clamp(min=1)


def spd_loss(logits: Tensor, distances: Tensor) -> Tensor:
    """logits [B, N, SPD_CLASSES, N]."""
    return mean_cross_entropy(logits.flatten(0, 1), spd_classes(distances).flatten(0, 1))


def bond_loss(logits: Tensor, hops: Tensor, compat: bool = False) -> Tensor:
    """logits [B, N, HOPS * BOND_CLASSES, N]: for each hop its bond."""
    b, n = hops.shape[:2]
    return mean_cross_entropy(logits.view(b * n * HOPS, BOND_CLASSES, n), bond_classes(hops, compat).flatten(0, 2))


def direction_loss(predicted: Tensor, positions: Tensor, known: Tensor) -> Tensor:
    """1 - cosine with the way from i to j: mean over a molecule's pairs, then over molecules that have any.

    Args:
        predicted: [B, N, 3, N].
        positions: [B, N, 3] without noise.
        known: [B, N].
    """
    way = positions.unsqueeze(1) - positions.unsqueeze(2)  # [B, i, j, 3]
    asked = known[:, :, None] & known[:, None, :] & (way != 0).any(-1)
    each = 1 - F.cosine_similarity(predicted.float().transpose(2, 3), way, dim=-1)
    count = asked.sum((1, 2))
    of_molecules = (each * asked).sum((1, 2)) / count.clamp(min=1)
    return of_molecules.sum() / (count > 0).sum().clamp(min=1)


def denoising_loss(predicted: Tensor, noise: Tensor, asked: Tensor, by_molecule: bool = False) -> Tensor:
    """1 - cosine with the noise: mean over all atoms asked.

    Args:
        predicted: [B, N, 3].
        noise: [B, N, 3].
        asked: [B, N].
        by_molecule: the sum over molecules of each one's mean (`sum_loss` in the published code).
    """
    each = (1 - F.cosine_similarity(predicted.float(), noise, dim=-1)) * asked
    if by_molecule:
        return (each.sum(1) / asked.sum(1).clamp(min=1)).sum()
    return each.sum() / asked.sum().clamp(min=1)

"""The contrastive loss over all pairs of all ranks."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

from molfusion.nn.precision import float32_island
from molfusion.nn.ranks import gather_rows

Gather = Literal["detached", "gradient"]


class Contrast(NamedTuple):
    loss: Tensor  # []
    molecule_logits: Tensor  # [B, B] this rank's molecules against its own texts
    text_logits: Tensor  # [B, B] this rank's texts against its own molecules


def contrastive(molecules: Tensor, texts: Tensor, temperature: Tensor | float, gather: Gather) -> Contrast:
    """InfoNCE with the best of Q molecule vectors (3D-MoLM §3.2, BLIP-2's ITC).

    Args:
        molecules: [B, Q, P], unit norm.
        texts: [B, P], unit norm.
        temperature: divides the cosines.
        gather: `detached` is the official form: what is gathered carries no gradient, so a molecule learns only from
            its own row of logits and a text from its own; `gradient` lets both sides of every pair learn.
    """
    with float32_island(molecules):
        molecules, texts = molecules.float(), texts.float()
        all_molecules, all_texts = _gathered(molecules, gather), _gathered(texts, gather)
        rows = torch.einsum("bqp,np->bnq", molecules, all_texts).amax(-1) / temperature
        columns = torch.einsum("bp,nqp->bnq", texts, all_molecules).amax(-1) / temperature
        first = _rank() * len(texts)
        labels = torch.arange(first, first + len(texts), device=texts.device)
        loss = (F.cross_entropy(rows, labels) + F.cross_entropy(columns, labels)) / 2
        own = slice(first, first + len(texts))
        return Contrast(loss, rows[:, own], columns[:, own])


def similarity(molecules: Tensor, texts: Tensor) -> Tensor:
    """Cosine of each molecule's best vector with each text: [M, Q, P], [T, P] -> [M, T]."""
    return torch.einsum("mqp,tp->mtq", molecules, texts).amax(-1)


def _gathered(x: Tensor, gather: Gather) -> Tensor:
    """The rows of all ranks, in rank order."""
    return gather_rows(x.detach() if gather == "detached" else x)


def _rank() -> int:
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0

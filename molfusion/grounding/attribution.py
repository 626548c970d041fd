"""How much each token that stands for an atom counted, and each token of the picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from molfusion.batch import MoleculeBatch, Record, Tokens
from molfusion.chem.parse import parse
from molfusion.encoders.base import NotApplicable
from molfusion.encoders.e3fp_tokens import E3FPTokens
from molfusion.grounding.scores import rightness
from molfusion.grounding.watch import Watch
from molfusion.tasks.base import Task

Method = Literal["gradient", "attention"]
Floats = NDArray[np.float64]


class Grounding(NamedTuple):
    """What one molecule's answer rests on. Weights are signed where the method is the gradient."""

    id: str
    smiles: str
    rightness: float  # or what else was asked for: the score
    shells: Floats  # [R, level + 1], of each structure token; empty without E3FPTokens
    atoms: Floats  # [N], in the order of the SMILES, over all its tokens; a shell's is shared out evenly among its atoms
    pictures: list[Floats]  # [rows, columns] each: tiles, if the picture is cut, and the whole; none by attention


def ground(
    task: Task,
    batch: MoleculeBatch,
    records: Sequence[Record],
    method: Method = "gradient",
    score: Callable[[Task, MoleculeBatch], Tensor] = rightness,
) -> list[Grounding]:
    """Each molecule of a batch.

    `gradient` is gradient × input of the tokens that stand for atoms, summed over their width: to first order, what is lost
    without them. `attention` is what queries (or a picture's tokens) read of each, mean over them, heads and layers; each of
    them reads as much as any other, so it says nothing of the picture, and a [CLS] keeps its share.

    Args:
        task: trained; is put into evaluation mode.
        batch: the records, under the views that the task reads.
        records: in the batch's order.
        method: see above.
        score: the number [B] whose reasons are asked for.

    Raises:
        NotApplicable: no encoder has tokens that stand for atoms, or for `attention` no cross-attention reads them.
    """
    task.eval()
    watch = watched(task, method)
    if method == "attention":
        with watch.reading() as read:
            rights = score(task, batch)
        weights = {place: torch.stack(layers).mean((0, 2)).double().cpu() for place, layers in read.items()}
    else:
        with watch.tokens() as seen:
            rights = score(task, batch)
            gradients = torch.autograd.grad(rights.sum(), [tokens.x for tokens in seen.values()])
        weights = {place: _product(tokens, g) for (place, tokens), g in zip(seen.items(), gradients, strict=True)}
    found = rights.detach().cpu().tolist()
    return [_grounding(watch, r, found[i], {place: w[i] for place, w in weights.items()}) for i, r in enumerate(records)]


def watched(task: Task, method: Method) -> Watch:
    """The parts of a model that can be pointed at.

    Raises:
        NotApplicable: it has none, or none of which this method says anything.
    """
    watch = Watch(task)
    if method == "attention" and not any(part.readers for part in watch.parts):
        names = ", ".join(type(part.encoder).__name__ for part in watch.parts)
        raise NotApplicable(
            f"attention needs a QFormer or a CrossAttention (kind: attention) that reads the tokens of {names} themselves; "
            "the gradient works for this model: take the gradient"
        )
    return watch


def _product(tokens: Tokens, gradient: Tensor) -> Tensor:
    """[B, T], 0 where there is no token."""
    return ((tokens.x * gradient).sum(-1) * tokens.mask).detach().double().cpu()


def _grounding(watch: Watch, record: Record, right: float, weights: dict[nn.Module, Tensor]) -> Grounding:
    atoms = np.zeros(parse(record.smiles).GetNumAtoms())
    shells, pictures = np.zeros((0, 0)), []
    for part in watch.parts:
        if part.place not in weights:  # not asked for this answer
            continue
        tokens = weights[part.place].numpy()
        if isinstance(part.encoder, E3FPTokens):
            members = part.encoder.shells.members(record)  # [R, L, N]
            shells = by_shell(tokens, members.shape[0], members.shape[1], part.encoder.tokens)
            atoms += (shells[:, :, None] * members / np.maximum(members.sum(-1, keepdims=True), 1)).sum((0, 1))
        else:
            atoms += by_atom(tokens, part.encoder.token_atoms(record), len(atoms))
    if watch.picture in weights:
        grids = watch.picture.grids
        cells = [rows * columns for rows, columns in grids]
        split = torch.split(weights[watch.picture], cells)
        pictures = [one.numpy().reshape(grid) for one, grid in zip(split, grids, strict=True)]
    return Grounding(record.id, record.smiles, right, shells, atoms, pictures)


def by_atom(tokens: Floats, standing: NDArray[np.int64], atoms: int) -> Floats:
    """Weights [T] of a molecule's tokens, added up [N] over those that stand for an atom (-1: none)."""
    if len(standing) > len(tokens):
        raise ValueError(f"token_atoms names the atoms of {len(standing)} tokens, but there are {len(tokens)}")
    own, out = standing >= 0, np.zeros(atoms)
    np.add.at(out, standing[own], tokens[: len(standing)][own])
    return out


def by_shell(tokens: Floats, rows: int, levels: int, arrangement: Literal["bag", "joint"]) -> Floats:
    """Weights of a molecule's tokens as those of its shells [R, L]; a `joint` token's is its levels' together."""
    if arrangement == "bag":
        return tokens[: rows * levels].reshape(rows, levels)
    return np.repeat(tokens[1 : rows + 1, None] / levels, levels, axis=1)

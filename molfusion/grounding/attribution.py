"""How much each structure token counted, handed on to the atoms of its shell, and each token of the picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from molfusion.batch import MoleculeBatch, Record, Tokens
from molfusion.encoders.base import NotApplicable
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
    shells: Floats  # [R, level + 1], of each structure token
    atoms: Floats  # [N], in the order of the SMILES: each shell's weight shared out evenly among its atoms
    pictures: list[Floats]  # [rows, columns] each: tiles, if the picture is cut, and the whole; none by attention


def ground(
    task: Task,
    batch: MoleculeBatch,
    records: Sequence[Record],
    method: Method = "gradient",
    score: Callable[[Task, MoleculeBatch], Tensor] = rightness,
) -> list[Grounding]:
    """Each molecule of a batch.

    `gradient` is gradient × input of the tokens, summed over their width: to first order, what is lost without them.
    `attention` is what the picture's tokens read of each structure token, mean over them, heads and layers; each of them
    reads as much as any other, so it says nothing of the picture.

    Args:
        task: trained; is put into evaluation mode.
        batch: the records, under the views that the task reads.
        records: in the batch's order.
        method: see above.
        score: the number [B] whose reasons are asked for.

    Raises:
        NotApplicable: the model has no structure tokens, or for `attention` no cross-attention over them.
    """
    task.eval()
    watch = watched(task, method)
    with watch.tokens() as seen:
        right = score(task, batch)
        parts = list(seen)
        gradients = torch.autograd.grad(right.sum(), [seen[name].x for name in parts])
    rights = right.detach().cpu().tolist()
    weights = {name: _product(seen[name], g) for name, g in zip(parts, gradients, strict=True)}
    pictures = weights.get("picture")
    if method == "attention":
        weights["structure"], pictures = _attention(watch, seen), None
    grids = watch.picture.grids if watch.picture is not None else ()
    return [
        _grounding(watch, record, rights[i], weights["structure"][i], None if pictures is None else pictures[i], grids)
        for i, record in enumerate(records)
    ]


def watched(task: Task, method: Method) -> Watch:
    """The parts of a model that can be pointed at.

    Raises:
        NotApplicable: it has none, or none of which this method says anything.
    """
    watch = Watch(task)
    if method == "attention" and (watch.fusion is None or watch.fusion.kind != "attention"):
        raise NotApplicable("attention needs a CrossAttention of kind attention over the structure tokens; take the gradient")
    if method == "attention" and watch.picture is None:
        raise NotApplicable("attention of a query other than DeepEncoder is not supported; take the gradient")
    return watch


def _product(tokens: Tokens, gradient: Tensor) -> Tensor:
    """[B, T], 0 where there is no token."""
    return ((tokens.x * gradient).sum(-1) * tokens.mask).detach().double().cpu()


def _attention(watch: Watch, seen: dict[str, Tokens]) -> Tensor:
    """[B, T] of the structure tokens, rows sum to 1."""
    assert watch.fusion is not None
    with torch.no_grad():
        read: Tensor = watch.fusion.attention(seen["picture"], seen["structure"])
    return read.mean((1, 2)).double().cpu()


def _grounding(
    watch: Watch, record: Record, right: float, tokens: Tensor, picture: Tensor | None, grids: Sequence[tuple[int, int]]
) -> Grounding:
    members = watch.structure.shells.members(record)  # [R, L, N]
    shells = by_shell(tokens.numpy(), members.shape[0], members.shape[1], watch.structure.tokens)
    sizes = members.sum(-1, keepdims=True)
    atoms = (shells[:, :, None] * members / np.maximum(sizes, 1)).sum((0, 1))
    pictures = []
    if picture is not None:
        cells = [rows * columns for rows, columns in grids]
        pictures = [part.numpy().reshape(grid) for part, grid in zip(torch.split(picture, cells), grids, strict=True)]
    return Grounding(record.id, record.smiles, right, shells, atoms, pictures)


def by_shell(tokens: Floats, rows: int, levels: int, arrangement: Literal["bag", "joint"]) -> Floats:
    """Weights of a molecule's tokens as those of its shells [R, L]; a `joint` token's is its levels' together."""
    if arrangement == "bag":
        return tokens[: rows * levels].reshape(rows, levels)
    return np.repeat(tokens[1 : rows + 1, None] / levels, levels, axis=1)

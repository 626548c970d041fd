"""Molecules for a text: sampled, valid, no two alike, the fitting ones first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch

from molfusion.chem.parse import canonical
from molfusion.chem.similarity import molecule
from molfusion.encoders.base import NotApplicable
from molfusion.tasks.generation import Generation, clean_text
from molfusion.trained.asking import Rows

if TYPE_CHECKING:
    from molfusion.trained.trained import Trained

_ROUNDS = 8  # of sampling, until there are enough that are valid and distinct


class Made(NamedTuple):
    """One molecule for one prompt."""

    smiles: str
    similarity: float | None  # with the prompt, in the aligned space; None: the run has no `judge`, or it cannot read it


class Answer(NamedTuple):
    """What came of one prompt."""

    made: list[Made]
    drawn: int  # samples
    valid: int  # of them


def ready(run: Trained) -> Generation:
    """The task on its device.

    Raises:
        NotApplicable: no run of Generation, or one that has no decoder.
    """
    task = run.task(Generation, "generate")
    if task.way_back is None:
        raise NotApplicable(f"{run.path} was trained on latents without a decoder: train on those of an Autoencoder")
    run.asker()
    return task


@torch.no_grad()
def answer(task: Generation, prompt: str, count: int, seed: int) -> Answer:
    """Up to `count` distinct molecules for one prompt, the most similar first (in order of appearance without a judge)."""
    context = task.prompted([prompt])
    found: dict[str, None] = {}
    drawn = valid = 0
    for turn in range(_ROUNDS):
        (made,) = task.generate(context, 1, count, seed=seed * _ROUNDS + turn)
        drawn += len(made)
        for mol in map(molecule, made):
            if mol is not None:
                valid += 1
                found[canonical(mol)] = None
        if len(found) >= count:
            break
    kept = list(found)[:count]
    alike = task.fits(context[0], kept) if context is not None else [None] * len(kept)
    order = sorted(range(len(kept)), key=lambda i: -(alike[i] if alike[i] is not None else -2.0))  # type: ignore[operator]
    return Answer([Made(kept[i], alike[i]) for i in order], drawn, valid)


def rows(prompts: Sequence[str], answers: Sequence[Answer]) -> Rows:
    """One a molecule."""
    return [
        {"prompt_number": n, "prompt": clean_text(prompt), "rank": rank, **made._asdict()}
        for n, (prompt, found) in enumerate(zip(prompts, answers, strict=True), 1)
        for rank, made in enumerate(found.made, 1)
    ]

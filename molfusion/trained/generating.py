"""Molecules for a text: sampled, valid, no two alike, the fitting ones first."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import torch

from molfusion.batch import MoleculeBatch
from molfusion.chem.parse import canonical
from molfusion.chem.similarity import molecule
from molfusion.config import ConfigError
from molfusion.encoders.base import NotApplicable
from molfusion.tasks.generation import Generation, inside
from molfusion.trained.asking import Rows
from molfusion.trained.embedding import as_record

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
    problem: str  # why there are none, or fewer than there might be


def generate(run: Trained, texts: Sequence[str], count: int, seed: int, timeout: float, **sampling: float | None) -> Rows:
    """Rows with `prompt_number`, `prompt`, `rank`, `smiles`, `similarity`, `samples` (drawn for the prompt), `valid` (of
    them), `problem`: one a molecule, and one without a molecule for a prompt that has none or fewer than were wanted.

    `sampling` is what to change in the run's `steps`, `guidance` and `eta`; None changes nothing.
    Prompts are asked one by one, each with noise from the seed alone: what else is asked changes no answer.

    Raises:
        NotApplicable: no run of Generation, or one that has no decoder.
        ConfigError: a number that is out of bounds.
    """
    task = ready(run)
    if count < 1:
        raise ConfigError(f"count is {count}, expected at least 1")
    if not timeout > 0:
        raise ConfigError(f"timeout is {timeout:g} s, expected more than 0")
    records = [as_record(str(number), text) for number, text in enumerate(texts, 1)]

    def question(batch: MoleculeBatch) -> Rows:
        (key,), (prompt,) = batch.ids, batch.texts
        before = (int(key) - 1) * count

        def told(found: int) -> None:
            if run.progress is not None:
                run.progress("molecules", before + found, len(records) * count)

        return [{"id": key, "answer": answer(task, prompt, count, seed, timeout, told)}]

    views = inside(task.text).views if task.text is not None else ()
    with _sampled(task, **sampling):
        answers = run.asker().texts(records, views, question, size=1)
    return [
        {"prompt_number": int(record.id), "prompt": record.text, **row}
        for record, asked in zip(records, answers, strict=True)
        for row in _rows(asked.get("answer") or Answer([], 0, 0, asked["problem"]))
    ]


def ready(run: Trained) -> Generation:
    """The task, if it can be asked.

    Raises:
        NotApplicable: no run of Generation, or one that has no decoder.
    """
    task = run.task(Generation, "generate")
    if task.way_back is None:
        raise NotApplicable(f"{run.path} was trained on latents without a decoder: train on those of an Autoencoder")
    return task


@contextmanager
def _sampled(task: Generation, **sampling: float | None) -> Iterator[None]:
    """Other steps, guidance and eta for the time being."""
    given = {name: value for name, value in sampling.items() if value is not None}
    most = task.diffusion.steps
    if not 1 <= (steps := given.get("steps", task.steps)) <= most:
        raise ConfigError(f"steps is {steps}, expected 1 to {most}, as this model was trained")
    kept = {name: getattr(task, name) for name in given}
    vars(task).update(given)
    try:
        yield
    finally:
        vars(task).update(kept)


@torch.no_grad()
def answer(
    task: Generation, prompt: str, count: int, seed: int, timeout: float, told: Callable[[int], None] = lambda found: None
) -> Answer:
    """Up to `count` distinct molecules for one prompt, the most similar first (in order of appearance without a judge).

    Args:
        task: on its device.
        prompt: a text.
        count: molecules wanted.
        seed: of the noise.
        timeout: seconds after which no more is written (the decoder looks between its steps); what is complete is kept.
        told: how many there are, after each round.
    """
    end = time.monotonic() + timeout

    def late() -> bool:
        return time.monotonic() > end

    context = task.prompted([prompt])
    found: dict[str, None] = {}
    drawn = valid = 0
    for turn in range(_ROUNDS):
        (made,) = task.generate(context, 1, count, seed * _ROUNDS + turn, late)
        drawn += len(made)
        for mol in map(molecule, made):
            if mol is not None:
                valid += 1
                found[canonical(mol)] = None
        told(min(len(found), count))
        if len(found) >= count or late():
            break
    stopped = len(found) < count and late()
    kept = list(found)[:count]
    alike = task.fits(context[0], kept) if context is not None else [None] * len(kept)
    order = sorted(range(len(kept)), key=lambda i: -(alike[i] if alike[i] is not None else -2.0))  # type: ignore[operator]
    problem = "" if kept else f"none of {drawn} samples is a molecule"
    if 0 < len(kept) < count:
        problem = f"{len(kept)} of {count}: of {drawn} samples {valid} are molecules, {len(found)} of them distinct"
    if stopped:
        problem = f"stopped after {timeout:g} s with {len(kept)} of {count} molecules; a longer timeout may find more"
    return Answer([Made(kept[i], alike[i]) for i in order], drawn, valid, problem)


def _rows(found: Answer) -> Rows:
    counted = {"samples": found.drawn, "valid": found.valid}
    rows: Rows = [{"rank": rank, **made._asdict(), **counted, "problem": ""} for rank, made in enumerate(found.made, 1)]
    if found.problem:
        rows.append({"rank": None, "smiles": None, "similarity": None, **counted, "problem": found.problem})
    return rows

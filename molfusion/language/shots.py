"""Worked examples to stand before a question."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Self

import numpy as np

from molfusion.batch import Record


class Shot(NamedTuple):
    """A question that was answered."""

    id: str
    smiles: str
    question: str
    answer: str


class Shots:
    """For each question a few training records that were asked it; a question that training does not know gets any.

    The same seed gives the same examples, and a record is never its own.

    Args:
        known: examples by question; under "" those for other questions.
        count: how many to show.
    """

    MOST_QUESTIONS = 256  # with examples of their own

    def __init__(self, known: dict[str, list[Shot]], count: int) -> None:
        self.known, self.count = known, count

    @classmethod
    def drawn(cls, records: Iterable[Record], count: int, seed: int) -> Self:
        """Out of training records that have a text; one more than are shown of each question."""
        every = [Shot(r.id, r.smiles, r.prompt, r.text) for r in records if r.text.strip()]
        order = np.random.default_rng(seed).permutation(len(every))
        known: dict[str, list[Shot]] = {"": []}
        for i in order:
            for question in dict.fromkeys(("", every[i].question)):
                if question not in known and len(known) > cls.MOST_QUESTIONS:
                    continue
                if len(held := known.setdefault(question, [])) <= count:
                    held.append(every[i])
        return cls(known, count)

    def before(self, key: str, question: str) -> list[Shot]:
        """The examples for one record."""
        return [shot for shot in self.known.get(question, self.known[""]) if shot.id != key][: self.count]

"""What a language model said, and what that is worth."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from molfusion.metrics import facts, numeric, text

# "The HOMO for the input molecule is -6.1 eV.": an answer with a number, and what it is a number of.
_PROPERTY = re.compile(r"The (?P<name>[^.\n]{1,60}?) (?:for|of) (?:the|this) (?:input )?molecule is (?:about )?-?\d")


class Answer(NamedTuple):
    """One record: asked, told, said (None where nothing was generated), and how likely the right answer was."""

    id: str
    group: str
    smiles: str
    prompt: str
    target: str
    text: str | None
    nll: float  # summed over the tokens of `target`
    tokens: int


class Answers:
    """Metrics of many answers.

    Args:
        tokenizer: whose pieces BLEU and METEOR count.
        truncation: pieces of a text that they look at.
    """

    def __init__(self, tokenizer: str, truncation: int | None) -> None:
        self.tokenizer, self.truncation = tokenizer, truncation
        self.means: dict[str, float] = {}

    def learn(self, texts: Sequence[str]) -> None:
        """The training means of numeric answers, which is what an invalid answer counts as."""
        named = [(text, name) for text in texts if (name := property_of(text))]
        self.means = numeric.means([t for t, _ in named], [n for _, n in named]) if named else {}

    def metrics(self, answers: Sequence[Answer]) -> dict[str, float]:
        """`loss` a token over all; of what was generated: text metrics of the texts, numeric ones of the numbers, and the
        facts of captions in the demo's sentences.
        """
        out = {"loss": sum(a.nll for a in answers) / max(1, sum(a.tokens for a in answers))}
        generated = [(a, a.text) for a in answers if a.text is not None]
        out["generated"] = float(len(generated))
        worded = [(a, said) for a, said in generated if property_of(a.target) is None]
        if worded:
            said, wanted = [t for _, t in worded], [a.target for a, _ in worded]
            out |= text.scores(said, wanted, self.tokenizer, self.truncation)
            checked = facts.scores(said, [a.smiles for a, _ in worded], wanted)
            if "facts/recall" in checked:  # otherwise these are not the demo's sentences
                out |= {name: value for name, value in checked.items() if name.count("/") == 1}
        numbers = [(a.target, said, name) for a, said in generated if (name := property_of(a.target))]
        if numbers:
            right, told, names = zip(*[(t, s, n) for t, s, n in numbers], strict=True)
            out |= numeric.scores(told, right, names, self.means)
        return out

    def rows(self, answers: Sequence[Answer]) -> list[dict[str, Any]]:
        """An answer each, with what it adds to the metrics of all: a report has neither training data nor tokenizers.

        `assumed` is what an invalid number counts as. Of generated texts in words there are METEOR and the ROUGEs, and the
        counts that corpus BLEU is made of (`text.shared`, a list).
        """
        rows = [{**a._asdict(), "assumed": self.means.get(property_of(a.target) or "", math.nan)} for a in answers]
        worded = [row for row, a in zip(rows, answers, strict=True) if a.text is not None and property_of(a.target) is None]
        if worded:
            texts = [row["text"] for row in worded], [row["target"] for row in worded]
            added: dict[str, Any] = {**text.each(*texts, self.tokenizer, self.truncation)}
            added[text.key(text.COUNTS, self.tokenizer, self.truncation)] = text.shared(*texts, self.tokenizer, self.truncation)
            for row in rows:
                row |= dict.fromkeys(added)
            for name, column in added.items():
                for row, value in zip(worded, column.tolist(), strict=True):
                    row[name] = value
        return rows


def property_of(answer: str) -> str | None:
    """What an answer gives a number of; None for a text in words."""
    found = _PROPERTY.match(answer)
    return found["name"] if found else None

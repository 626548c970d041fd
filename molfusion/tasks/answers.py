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

    def scored(self, answers: Sequence[Answer]) -> tuple[dict[str, float], list[dict[str, Any]]]:
        """Metrics of all, and a row an answer with what it adds to them: a report has neither training data nor tokenizers.

        `loss` a token over all; of what was generated: text metrics of the texts, numeric ones of the numbers, and the facts
        of captions in the demo's sentences. In a row, `assumed` is what an invalid number counts as; of a generated text in
        words there are METEOR and the ROUGEs, and the counts that corpus BLEU is made of (`text.shared`, a list).
        """
        out = {"loss": sum(a.nll for a in answers) / max(1, sum(a.tokens for a in answers))}
        out["generated"] = float(sum(a.text is not None for a in answers))
        rows = [{**a._asdict(), "assumed": self.means.get(property_of(a.target) or "", math.nan)} for a in answers]
        generated = [row for row in rows if row["text"] is not None]
        if worded := [row for row in generated if property_of(row["target"]) is None]:
            said, wanted = [row["text"] for row in worded], [row["target"] for row in worded]
            each = text.each(said, wanted, self.tokenizer, self.truncation)
            out |= text.corpus(said, wanted, self.tokenizer, self.truncation)
            out |= {name: float(column.mean()) for name, column in each.items()}
            checked = facts.scores(said, [row["smiles"] for row in worded], wanted)
            if "facts/recall" in checked:  # otherwise these are not the demo's sentences
                out |= {name: value for name, value in checked.items() if name.count("/") == 1}
            counts = text.shared(said, wanted, self.tokenizer, self.truncation)
            added = {**each, text.key(text.COUNTS, self.tokenizer, self.truncation): counts}
            for row in rows:
                row |= dict.fromkeys(added)
            for name, column in added.items():
                for row, value in zip(worded, column.tolist(), strict=True):
                    row[name] = value
        if numbers := [(row["text"], row["target"], asked) for row in generated if (asked := property_of(row["target"]))]:
            told, right, names = zip(*numbers, strict=True)
            out |= numeric.scores(told, right, names, self.means)
        return out, rows


def property_of(answer: str) -> str | None:
    """What an answer gives a number of; None for a text in words."""
    found = _PROPERTY.match(answer)
    return found["name"] if found else None

"""The view `prompt`: what a language model is asked of a molecule, and what it should answer, as token ids."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from molfusion.batch import Arrays, Record, length_mask, pad
from molfusion.errors import MolfusionError
from molfusion.views.base import Features, View
from molfusion.views.tokenizer import load_tokenizer

DEFAULT = "Molecule: {molecule}\n{question}\n"
_DESCRIPTIVE = {"", "Description"}  # tasks whose questions may be cut; one without a name may be
_SLOTS = re.compile(r"\{(smiles|question)\}")


class PromptError(MolfusionError, ValueError):
    """This prompt or answer cannot be used as it is; the message says why and what to do."""


@dataclass
class Prompts(Arrays):
    """Each part padded on the right; the molecule's own tokens stand between `before` and `after`."""

    before: Tensor  # [B, L1] int64
    before_mask: Tensor
    after: Tensor  # [B, L2]
    after_mask: Tensor
    answer: Tensor  # [B, L3], with what stands around it (end of sequence)
    answer_mask: Tensor
    learned: Tensor  # [B, L3] bool: tokens that count in the loss
    lengths: tuple[int, ...]  # tokens of prompt and answer of each row before any cut
    widest: tuple[int, int]  # most tokens of a prompt, and of a prompt with its answer

    @property
    def mask(self) -> Tensor:
        return torch.cat([self.before_mask, self.after_mask, self.answer_mask], dim=1)


@dataclass(frozen=True)
class PromptView(View):
    """A template around a record's question and SMILES, and the record's text as the answer.

    The parts before and after `{molecule}` and the answer are tokenised apart, so that training and generation see the
    same tokens. A SentencePiece tokenizer puts its space before each of them, as the slow tokenizers of Llama did.

    Raises:
        PromptError: the template has no `{molecule}`, or several; a record's prompt alone is too long.
    """

    tokenizer: str
    template: str = DEFAULT  # {molecule} once, {question} and {smiles} as often as wanted
    question: str = "Describe the molecule."  # of records that have none
    start: str = ""  # text before the answer that is learned too, and not given at generation
    end: str = "</s>"  # text after the answer, learned unless the answer was cut
    length: int = 512  # most tokens of prompt and answer together, the molecule's own not counted
    cut: bool = False  # cut longer answers; otherwise learning from one is an error
    smiles_length: int | None = None  # characters of SMILES to show
    question_length: int | None = None  # characters to show of a question that asks for a description, not for a number
    newline: Literal["learned", "as_deepmolm"] = "learned"

    stored: ClassVar[bool] = False
    pads: ClassVar[Literal["", "pairs", "text"]] = "text"
    tools: ClassVar[tuple[str, ...]] = ("tokenizers",)

    def __post_init__(self) -> None:
        if (n := self.template.count("{molecule}")) != 1:
            raise PromptError(
                f"the prompt {self.template!r} has {n or 'no'} {{molecule}}: write {{molecule}} once, where its tokens go"
            )

    def featurise(self, record: Record) -> Features:
        before, _, after = self.template.partition("{molecule}")
        shown = self.question_length if record.task in _DESCRIPTIVE else None
        parts = [self._ids(self._filled(part, record.smiles, record.prompt, shown)) for part in (before, after)]
        asked = len(parts[0]) + len(parts[1])
        if asked >= self.length:
            raise PromptError(
                f"record {record.id}: its prompt alone is {asked} tokens, which leaves no room within lm.length {self.length}: "
                "raise lm.length, or set lm.smiles_length or lm.question_length"
            )
        start, told, end = self._ids(self.start), self._ids(record.text), self._ids(self.end)
        total = asked + len(start) + len(told) + len(end)
        answer = [*start, *told, *end] if record.text.strip() else []
        if total > self.length and self.cut:
            answer = [*start, *told][: self.length - asked]
        return {
            "before": np.array(parts[0], dtype=np.int32),
            "after": np.array(parts[1], dtype=np.int32),
            "answer": np.array(answer, dtype=np.int32),
            "learned": self._learned(answer),
            "length": np.array(total),
        }

    def collate(self, items: Sequence[Features]) -> Prompts:
        padded = {}
        for part in ("before", "after", "answer"):
            rows = [i[part] for i in items]
            padded[part] = torch.from_numpy(pad(rows).astype(np.int64))
            padded[f"{part}_mask"] = length_mask([len(r) for r in rows])
        learned = torch.from_numpy(pad([i["learned"] for i in items]))
        asked = [len(i["before"]) + len(i["after"]) for i in items]
        widest = max(asked), max(n + len(i["answer"]) for n, i in zip(asked, items, strict=True))
        return Prompts(**padded, learned=learned, lengths=tuple(int(i["length"]) for i in items), widest=widest)

    def padded_length(self, record: Record) -> int:
        row = self.featurise(record)
        return sum(len(row[part]) for part in ("before", "after", "answer"))

    def example(self, smiles: str, question: str, answer: str) -> str:
        """A question with its answer, to stand before another; its molecule is shown as SMILES."""
        before, _, after = self.template.partition("{molecule}")
        whole = self._filled(before + smiles + after, smiles, question, self.question_length)
        return whole + self.start + answer.strip() + self.end + "\n"

    def ids(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Texts as ids [B, L] and mask [B, L]."""
        rows = [np.array(self._ids(text), dtype=np.int64) for text in texts]
        return torch.from_numpy(pad(rows)), length_mask([len(r) for r in rows])

    def _filled(self, part: str, smiles: str, question: str, shown: int | None) -> str:
        values = {"smiles": smiles[: self.smiles_length], "question": (question or self.question)[:shown]}
        return _SLOTS.sub(lambda slot: values[slot[1]], part)

    def _ids(self, text: str) -> list[int]:
        return load_tokenizer(self.tokenizer).encode(text, add_special_tokens=False).ids if text else []

    def _learned(self, answer: list[int]) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        learned = np.ones(len(answer), dtype=bool)
        if self.newline == "as_deepmolm":
            # It matches tokens with the prompt's template, whose last one is the newline after the answer: the first
            # newline within the answer is taken for that one.
            (newline,) = self._ids("\n")
            first = next((i for i, token in enumerate(answer) if token == newline), None)
            if first is not None:
                learned[first] = False
        return learned

"""Let a language model say what an encoder saw: captions, and answers to questions about a molecule."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor, nn

from molfusion.batch import MoleculeBatch, Tokens
from molfusion.encoders.base import Encoder, NotApplicable, merge_views
from molfusion.language import Decoding, LanguageModel
from molfusion.language.memory import check_fits
from molfusion.language.shots import Shot, Shots
from molfusion.tasks.answers import Answer, Answers
from molfusion.tasks.base import Task, named_rows
from molfusion.tasks.schedule import Schedule


class Captioning(Task):
    """An encoder's tokens, through a connector, stand in the prompt of a language model, which learns the record's text.

    A record's `prompt` is its question; without one the language model's own is asked. What trains: the connector always,
    the encoder unless it is `Frozen`, and of the language model what its `train` says. `molfusion.encoders.Nothing` as
    the encoder is the control without a molecule.

    `score`, by which checkpoints are chosen, is minus the mean loss of a token of the split's texts, all of them, the way
    they would be learned; or a metric of the generated texts, if `select` names one.
    """

    needs = "texts"

    def __init__(
        self,
        encoder: Encoder,
        lm: LanguageModel,
        connector: Literal["linear", "none"] = "linear",
        decoding: Decoding | None = None,
        samples: int = 32,
        test_samples: int | None = None,
        shots: int = 0,
        seed: int = 0,
        tokenizer: str = "molfusion",
        truncation: int | None = 512,
        select: str = "loss",
        optimizer: OptimizerCallable = torch.optim.AdamW,
        schedule: Schedule | None = None,
        start: Path | None = None,
    ) -> None:
        """Captioning, or instruction tuning where records carry questions.

        Args:
            encoder: reads the molecule.
            lm: reads the encoder's tokens and the question.
            connector: `linear` from the encoder's width to the language model's; `none` where they agree.
            decoding: how texts are generated; greedy by default.
            samples: of how many validation molecules a text is generated (the first ones).
            test_samples: of how many test molecules; None: all.
            shots: examples from training before each question.
            seed: of their choice.
            tokenizer: whose pieces BLEU and METEOR count; part of their names.
            truncation: pieces of a text that they look at; None: all.
            select: `loss`, or the name of a metric, to choose checkpoints by.
            optimizer: given the parameters that train.
            schedule: of its learning rate.
            start: a checkpoint of the same task to start from.

        Raises:
            NotApplicable: no connector, and the widths differ.
        """
        super().__init__(optimizer, schedule, start)
        if connector == "none" and encoder.dim != lm.dim:
            raise NotApplicable(
                f"connector: none needs tokens as wide as the language model: {type(encoder).__name__} has {encoder.dim}, "
                f"the language model {lm.dim}; set connector to linear"
            )
        self.encoder, self.lm = encoder, lm
        self.connector: nn.Module = _linear(encoder.dim, lm) if connector == "linear" else nn.Identity()
        self.decoding, self.shots, self.shots_seed, self.select = decoding or Decoding(), shots, seed, select
        self.limits = {"val": samples, "test": test_samples}
        self.answers = Answers(tokenizer, truncation)
        self.examples: Shots | None = None
        self.views = merge_views(encoder, lm)
        for part in encoder.modules():  # what only the encoder's own losses would train
            for parameter in getattr(part, "aligning", tuple)():
                parameter.requires_grad_(False)

    # -- learning ------------------------------------------------------------------------------------

    def soft(self, batch: MoleculeBatch) -> Tokens:
        """The molecule as the language model reads it, [B, T, width of the language model]."""
        tokens = self.encoder(batch)
        return Tokens(self.connector(tokens.x), tokens.mask)

    def losses(self, batch: MoleculeBatch) -> dict[str, Tensor]:
        return {"caption": self.lm.loss(self.soft(batch), batch, self._before(batch))}

    def setup(self, stage: str) -> None:
        """Take the examples, and what invalid numbers count as, from the training data."""
        super().setup(stage)
        records = self.trainer.datamodule.records.get("train", [])  # type: ignore[attr-defined]
        if self.shots and self.examples is None and records:
            self.examples = Shots.drawn(records, self.shots, self.shots_seed)
        self.answers.learn([r.text for r in records])

    def configure_model(self) -> None:
        self.lm.end_id()  # without its tokenizer nothing works: say so before anything large is read
        if self._trainer is not None and self.lm.needs_weights and self.trainer.strategy.root_device.type == "cuda":
            check_fits(str(self.lm.name), self.lm.model, self.lm.dtype, self.trainer.strategy.root_device)
        super().configure_model()

    def _before(self, batch: MoleculeBatch) -> list[str]:
        """The examples of each row as text; nothing without shots."""
        if not self.shots:
            return []
        if self.examples is None:
            raise NotApplicable("shots: there are no training records to take examples from")
        view, chosen = self.lm.view, self.examples.before
        return [
            "".join(view.example(s.smiles, s.question, s.answer) for s in chosen(key, question))
            for key, question in zip(batch.ids, batch.prompts, strict=True)
        ]

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        if self.examples is not None:
            checkpoint["shots"] = {q: [tuple(s) for s in shots] for q, shots in self.examples.known.items()}

    def recall(self, checkpoint: dict[str, Any]) -> None:
        if self.shots and "shots" in checkpoint:
            known = {q: [Shot(*s) for s in shots] for q, shots in checkpoint["shots"].items()}
            self.examples = Shots(known, self.shots)

    # -- what it says --------------------------------------------------------------------------------

    def observe(self, batch: MoleculeBatch) -> dict[str, Any]:
        soft, before = self.soft(batch), self._before(batch)
        found = self.lm.likelihood(soft, batch, before)
        texts: list[str | None] = [None] * len(batch)
        limit = self.limits["test" if self.trainer.testing else "val"]
        share = None if limit is None else -(-limit // self.trainer.world_size)
        seen = sum(len(kept["ids"]) for kept in self._observed)
        if share is None or seen < share:
            texts = [*self.lm.generate(soft, batch, self.decoding, before)]
            texts = [text if share is None or seen + i < share else None for i, text in enumerate(texts)]
        return {
            "ids": batch.ids, "groups": batch.groups, "smiles": batch.smiles, "texts": texts, "targets": batch.texts,
            "prompts": [question or self.lm.view.question for question in batch.prompts],
            "nll": found.nll.tolist(), "tokens": found.tokens.tolist(),
        }  # fmt: skip

    def evaluate(self, observed: list[dict[str, Any]], split: str) -> tuple[dict[str, float], list[dict[str, Any]]]:
        fields = ["ids", "groups", "smiles", "prompts", "targets", "texts", "nll", "tokens"]
        answers = [*{row[0]: Answer(*row) for row in named_rows(observed, fields)}.values()]  # ranks repeat one to keep step
        metrics, rows = self.answers.scored(answers)
        if self.select != "loss" and self.select not in metrics:
            raise NotApplicable(f"select: there is no metric {self.select!r}; there are loss, {', '.join(sorted(metrics))}")
        metrics["score"] = -metrics["loss"] if self.select == "loss" else metrics[self.select]
        return metrics, rows

    def predictions(self, batch: MoleculeBatch) -> list[dict[str, Any]]:
        """What is said of each molecule: `prompt` and `text`."""
        texts = self.lm.generate(self.soft(batch), batch, self.decoding, self._before(batch))
        asked = [question or self.lm.view.question for question in batch.prompts]
        return [
            {"id": key, "smiles": smiles, "prompt": question, "text": text}
            for key, smiles, question, text in zip(batch.ids, batch.smiles, asked, texts, strict=True)
        ]

    def exports(self) -> dict[str, Encoder]:
        return {"encoder": self.encoder}


def _linear(dim: int, lm: LanguageModel) -> nn.Linear:
    """A connector whose outputs begin, for inputs of size 1, as small as the language model's embeddings began.

    PyTorch's default makes them several times larger than trained embeddings (0.57 against SmolLM2's 0.13); a language model
    normalises what it reads, so that a step of the optimiser turns large tokens by that much less.
    """
    connector = nn.Linear(dim, lm.dim)
    nn.init.normal_(connector.weight, std=getattr(lm.config, "initializer_range", 0.02) / dim**0.5)
    nn.init.zeros_(connector.bias)
    return connector

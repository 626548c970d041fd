"""How an answer is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.distributed.tensor import DTensor

from molfusion.language.errors import LanguageError
from molfusion.language.layout import Joined
from molfusion.views.tokenizer import load_tokenizer


@dataclass(frozen=True)
class Decoding:
    """Greedy by default; never sampled, so that the same weights give the same answer.

    Prompts are padded on the left. (3D-MoLM pads on the right, so that the first token of all but the longest prompt follows
    padding, whose embedding was random and is not in its checkpoints: nothing that could be offered as a switch.)

    Args:
        max_new_tokens: longest answer.
        min_new_tokens: no end before so many.
        num_beams: beam search above 1.
        length_penalty: of beams; above 1 favours long answers.
        repetition_penalty: above 1 discourages tokens that were written already.
    """

    max_new_tokens: int = 128
    min_new_tokens: int = 0
    num_beams: int = 1
    length_penalty: float = 1.0
    repetition_penalty: float = 1.0


def write(model: Any, rows: Joined, settings: Decoding, end: int, unknown: Sequence[int] = ()) -> Tensor:
    """Ids of one answer a row [B, up to max_new_tokens], filled up with `end`; those in `unknown` are never written."""
    from transformers import GenerationConfig
    from transformers.generation import RepetitionPenaltyLogitsProcessor

    beams = {"num_beams": settings.num_beams, "length_penalty": settings.length_penalty} if settings.num_beams > 1 else {}
    config = GenerationConfig(
        max_new_tokens=settings.max_new_tokens, min_new_tokens=settings.min_new_tokens or None, do_sample=False,
        eos_token_id=end, pad_token_id=end, suppress_tokens=list(unknown) or None, **beams,
    )  # fmt: skip
    # Not through the config: transformers 5 would then leave as many new tokens unpenalised as a row has padding.
    penalty = float(settings.repetition_penalty)
    processors = [] if penalty == 1 else [RepetitionPenaltyLogitsProcessor(penalty)]
    sharded = any(isinstance(p, DTensor) for p in model.parameters())  # then everybody has to take as many steps
    out: Tensor = model.generate(
        inputs_embeds=rows.x, attention_mask=rows.mask.long(), generation_config=config, logits_processor=processors,
        synced_gpus=sharded,
    )  # fmt: skip
    return out


def end_id(tokenizer: str, end: str, vocab: int) -> int:
    """Id of the token that ends an answer of a model with so many ids.

    Raises:
        LanguageError: there is no such tokenizer, it has no such token, or it is of another model.
    """
    try:
        found = load_tokenizer(tokenizer)
    except (OSError, ValueError) as error:
        raise LanguageError(f"the language model's tokenizer is missing: {error}; set lm.tokenizer") from error
    known, at = found.get_vocab_size(), found.token_to_id(end)
    if at is None:
        raise LanguageError(f"tokenizer {tokenizer} has no token {end!r}: set lm.end to its end of sequence")
    if known > vocab:
        raise LanguageError(
            f"tokenizer {tokenizer} has {known} tokens and the language model {vocab}: they do not belong together"
        )
    return int(at)

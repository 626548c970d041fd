"""Any causal language model of Hugging Face, told of a molecule by soft tokens in its prompt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from molfusion.batch import MoleculeBatch, Tokens
from molfusion.language.decoding import Decoding, end_id, write
from molfusion.language.errors import LanguageError
from molfusion.language.layout import IGNORED, Joined, Segment, join
from molfusion.language.lora import Lora, add_lora
from molfusion.language.memory import check_fits
from molfusion.language.sources import TINY_TOKENIZER, config_of, empty, published
from molfusion.nn.precision import float32_island
from molfusion.nn.ranks import mean_over_ranks
from molfusion.views.prompt import DEFAULT, Prompts, PromptView
from molfusion.views.tokenizer import load_tokenizer

Layout = Literal["plain", "3d-molm", "deepmolm"]


class Likelihood(NamedTuple):
    """Of each row's answer."""

    nll: Tensor  # [B] summed over its tokens
    tokens: Tensor  # [B] how many


class LanguageModel(nn.Module):
    """Answers a question about a molecule whose tokens, already of its width, stand in the prompt.

    A published model is built without memory and without reading a file where `config` is given; `load_pretrained` brings
    its weights. Those of them that do not train are not written into checkpoints: they are read from their source again.

    Args:
        name: a hub name, a folder, `package://module/path` or a .gguf file. None: a small Llama from scratch.
        config: sizes, with `model_type`, so that nothing needs to be read for them; they overrule the published ones.
        tokenizer: if not the model's own.
        prompt: with {molecule} once, and {question} and {smiles} where wanted.
        question: of records that have none.
        end: the token that ends an answer.
        layout: `plain`: prompt, answer, `end`. `3d-molm`: `end` before the prompt and between it and the answer, where it
            is learned, and none after the answer, as released (§2.3). `deepmolm`: a newline after `end`, and labels as its
            released code counts them.
        train: nothing of it, adapters, or all. By default adapters, and all of a model from scratch.
        lora: settings of the adapters.
        length: most tokens of prompt and answer, the molecule's not counted.
        cut: cut longer answers; otherwise learning from one is an error.
        smiles_length: characters of SMILES to show; 3D-MoLM shows 96.
        question_length: characters to show of a descriptive question (whose `task` is Description, or not named); 3D-MoLM: 64.
        dtype: of the weights that do not train by themselves; adapters are float32.
        pretrained: False builds `name` with random weights.
        checkpointing: compute activations once more in the backward pass instead of keeping them.
    """

    def __init__(
        self,
        name: str | None = None,
        config: dict[str, Any] | None = None,
        tokenizer: str | None = None,
        prompt: str = DEFAULT,
        question: str = "Describe the molecule.",
        end: str = "</s>",
        layout: Layout = "plain",
        train: Literal["none", "lora", "full"] | None = None,
        lora: Lora | None = None,
        length: int = 512,
        cut: bool = False,
        smiles_length: int | None = None,
        question_length: int | None = None,
        dtype: Literal["float32", "bfloat16", "float16"] = "float32",
        pretrained: bool = True,
        checkpointing: bool = False,
    ) -> None:
        super().__init__()
        self.needs_weights = self._published = name is not None and pretrained
        self.trains = train or ("lora" if self._published else "full")
        self.name, self.lora, self.checkpointing = name, lora or Lora(), checkpointing
        self.dtype: torch.dtype = getattr(torch, dtype)
        self.end = end
        self.view = PromptView(
            tokenizer or name or TINY_TOKENIZER, (end if layout == "3d-molm" else "") + prompt, question,
            start=end if layout == "3d-molm" else "",
            end={"plain": end, "3d-molm": "", "deepmolm": end + "\n"}[layout],
            length=length, cut=cut, smiles_length=smiles_length, question_length=question_length,
            newline="as_deepmolm" if layout == "deepmolm" else "learned",
        )  # fmt: skip
        self.views = frozenset({self.view})
        self.config = config_of(name, config)
        self.dim: int = self.config.hidden_size
        self.model = self._readied(empty(self.config, "meta" if self.needs_weights else None))

    # -- weights -------------------------------------------------------------------------------------

    def load_pretrained(self) -> None:
        """Read the published weights.

        Raises:
            LanguageError: they, or the tokenizer, are not there, or do not fit into memory.
        """
        assert self.name is not None
        self.end_id()
        check_fits(self.name, self.model, self.dtype, torch.device("cpu"))
        self.model = self._readied(published(self.name, self.config, self.dtype))
        self.needs_weights = False

    def _readied(self, model: Any) -> Any:
        """With adapters, and with gradients for what trains."""
        from transformers import GenerationConfig

        model.generation_config = GenerationConfig()  # theirs may sample
        model.to(self.dtype)
        model.requires_grad_(self.trains == "full")
        if self.trains == "lora":
            add_lora(model, self.lora)
            for parameter in model.parameters():
                if parameter.requires_grad:
                    parameter.data = parameter.data.float()
        if self.checkpointing:
            enable = getattr(model, "activation_checkpointing_enable", model.gradient_checkpointing_enable)  # its newer name
            enable({"use_reentrant": False})
        return model

    def state_dict(self, *args: Any, prefix: str = "", **kwargs: Any) -> Any:
        """Without the published weights that do not train."""
        state = super().state_dict(*args, prefix=prefix, **kwargs)
        for name in self._reread():
            state.pop(prefix + name, None)
        return state

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any, **kwargs: Any) -> None:
        """Theirs, and our own for what `state_dict` leaves out."""
        own = dict(self.named_parameters(remove_duplicate=False))  # tied weights have two names
        for name in self._reread():
            state_dict.setdefault(prefix + name, own[name])
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def _reread(self) -> list[str]:
        if not self._published:
            return []
        return [name for name, p in self.named_parameters(remove_duplicate=False) if not p.requires_grad]

    def end_id(self) -> int:
        """Id of the token that ends an answer.

        Raises:
            LanguageError: there is no such tokenizer, or it has no such token.
        """
        return end_id(self.view.tokenizer, self.end, self.config.vocab_size)

    # -- learning ------------------------------------------------------------------------------------

    def loss(self, soft: Tokens, batch: MoleculeBatch, examples: Sequence[str] = ()) -> Tensor:
        """Mean cross-entropy over all ranks' answer tokens; `examples`: text to stand before each prompt.

        Raises:
            LanguageError: a record without an answer, or one whose answer is too long.
        """
        found = self.likelihood(soft, batch, examples)
        return found.nll.sum() / mean_over_ranks(found.tokens.sum().float())

    def likelihood(self, soft: Tokens, batch: MoleculeBatch, examples: Sequence[str] = ()) -> Likelihood:
        """Of each answer, token by token; raises as `loss`."""
        self._check(batch)
        prompts: Prompts = batch[self.view]
        rows = self._rows(soft, prompts, examples, answers=True)
        told = prompts.answer.shape[1]  # answers stand at the right end
        out = self.model(
            inputs_embeds=rows.x, attention_mask=rows.mask.long(), position_ids=_positions(rows.mask),
            logits_to_keep=told + 1, use_cache=False,
        )  # fmt: skip
        labels = rows.labels[:, -told:]
        logits = out.logits[:, -told - 1 : -1]
        with float32_island(logits):
            nll = F.cross_entropy(logits.float().flatten(0, 1), labels.flatten(), ignore_index=IGNORED, reduction="none")
        return Likelihood(nll.view_as(labels).sum(1), labels.ne(IGNORED).sum(1))

    def _check(self, batch: MoleculeBatch) -> None:
        prompts: Prompts = batch[self.view]
        for key, text, length in zip(batch.ids, batch.texts, prompts.lengths, strict=True):
            if not text.strip():
                raise LanguageError(f"record {key} has no text: there is no answer to learn from; leave it out of the card")
            if length > self.view.length and not self.view.cut:
                raise LanguageError(
                    f"record {key}: prompt and answer are {length} tokens, more than lm.length {self.view.length}: "
                    "raise lm.length, or set lm.cut to cut answers"
                )

    def _rows(self, soft: Tokens, prompts: Prompts, examples: Sequence[str], answers: bool) -> Joined:
        if self.needs_weights:
            raise RuntimeError(f"the weights of {self.name} are not loaded yet: call load_pretrained() first")
        ids = self.view.ids(examples) if examples else None
        segments = [] if ids is None else [self._text(*(t.to(prompts.before.device) for t in ids))]
        segments.append(self._text(prompts.before, prompts.before_mask))
        dtype = segments[0].x.dtype
        segments.append(Segment(soft.x.to(dtype), soft.mask, torch.full_like(soft.mask, IGNORED, dtype=torch.long)))
        segments.append(self._text(prompts.after, prompts.after_mask))
        if answers:
            told = self._text(prompts.answer, prompts.answer_mask)
            segments.append(told._replace(labels=prompts.answer.masked_fill(~prompts.learned, IGNORED)))
        width = soft.x.shape[1] + prompts.widest[answers] + (0 if ids is None else ids[0].shape[1])
        return join(segments, width)

    def _text(self, ids: Tensor, mask: Tensor) -> Segment:
        return Segment(self.model.get_input_embeddings()(ids), mask, torch.full_like(ids, IGNORED))

    # -- answering -----------------------------------------------------------------------------------

    @torch.no_grad()
    def generate(
        self, soft: Tokens, batch: MoleculeBatch, settings: Decoding | None = None, examples: Sequence[str] = ()
    ) -> list[str]:
        """One answer a row."""
        tokenizer = load_tokenizer(self.view.tokenizer)
        rows = self.generate_ids(soft, batch[self.view], settings or Decoding(), examples)
        return [tokenizer.decode(row, skip_special_tokens=True).strip() for row in rows.tolist()]

    @torch.no_grad()
    def generate_ids(self, soft: Tokens, prompts: Prompts, settings: Decoding, examples: Sequence[str] = ()) -> Tensor:
        """[B, up to max_new_tokens] ids, filled up with the end token."""
        known = load_tokenizer(self.view.tokenizer).get_vocab_size()
        unknown = range(known, self.config.vocab_size)  # rows that no token has, such as a [PAD] of its own
        return write(self.model, self._rows(soft, prompts, examples, answers=False), settings, self.end_id(), unknown)

    def train(self, mode: bool = True) -> Self:
        super().train(mode and self.trains != "none")  # what is frozen does not drop out either
        self.training = mode
        return self

    @property
    def blocks(self) -> list[nn.Module]:
        """Its repeated layers, for sharding."""
        stacks = [list(m) for m in self.model.modules() if isinstance(m, nn.ModuleList)]
        return max(stacks, key=len, default=[])


def _positions(mask: Tensor) -> Tensor:
    """Of each row's own tokens from 0."""
    return (mask.long().cumsum(1) - 1).clamp(min=0)

"""Causal language models by hub name, folder, `package://…` or .gguf file: their sizes, and then their weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from molfusion.language.errors import LanguageError
from molfusion.views.tokenizer import locate

# From scratch, on the demo's own byte-level vocabulary: what tests and first tries run on.
TINY: dict[str, Any] = {
    "model_type": "llama", "vocab_size": 1024, "hidden_size": 64, "intermediate_size": 192, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 4, "max_position_embeddings": 1024, "tie_word_embeddings": True,
}  # fmt: skip
TINY_TOKENIZER = "package://molfusion/demo/bpe_vocab"


def config_of(name: str | None, given: dict[str, Any] | None) -> Any:
    """The model's configuration: as given (no file is read), else the published one, else the tiny one.

    Raises:
        LanguageError: nothing of that name, or an unknown `model_type`.
    """
    from transformers import AutoConfig

    if given is None and name is not None:
        return _asked(name, AutoConfig)
    sizes = dict(given or TINY)
    kind = sizes.pop("model_type", None)
    try:
        return AutoConfig.for_model(kind, **sizes)
    except ValueError as error:
        raise LanguageError(f"lm.config: model_type is {kind!r}, expected a kind that transformers knows, as 'llama'") from error


def empty(config: Any, device: str | None = None) -> Any:
    """The architecture with random weights; on `meta` it takes no memory."""
    from transformers import AutoModelForCausalLM

    with torch.device(device or torch.get_default_device()):
        return AutoModelForCausalLM.from_config(config)


def published(name: str, config: Any, dtype: torch.dtype) -> Any:
    """The model with its published weights: safetensors, or a .gguf file, whose quantised weights are dequantised.

    Raises:
        LanguageError: not there.
    """
    from transformers import AutoModelForCausalLM

    return _asked(name, AutoModelForCausalLM, config=config, dtype=dtype, safetensors=True)


def _asked(name: str, factory: Any, safetensors: bool = False, **arguments: Any) -> Any:
    try:
        place = Path(locate(name))
        if place.suffix == ".gguf" and place.is_file():
            return factory.from_pretrained(str(place.parent), gguf_file=place.name, **arguments)
        if safetensors:
            arguments["use_safetensors"] = True
        return factory.from_pretrained(locate(name), trust_remote_code=False, **arguments)
    except OSError as error:
        what = str(error) if name.startswith("package://") else "no such folder, and not to be had from the hub"
        raise LanguageError(f"language model {name!r}: {what}") from error

"""Low-rank adapters on the linear layers of a language model (Hu et al. 2022), by `peft`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from molfusion.language.errors import LanguageError


@dataclass(frozen=True)
class Lora:
    """Settings of the adapters; the defaults are 3D-MoLM's.

    Args:
        rank: r.
        alpha: the update is scaled by alpha / rank.
        dropout: on the adapters' input.
        targets: names of the linear layers that get one.
    """

    rank: int = 8
    alpha: float = 32
    dropout: float = 0.1
    targets: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def add_lora(model: Any, lora: Lora) -> None:
    """Put adapters into the model, in place; only they train.

    Raises:
        LanguageError: no layer of the model has such a name.
    """
    from peft import LoraConfig, inject_adapter_in_model

    config = LoraConfig(
        r=lora.rank, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules=list(lora.targets), bias="none"
    )
    try:
        inject_adapter_in_model(config, model)
    except ValueError as error:
        raise LanguageError(
            f"LoRA: {type(model).__name__} has no layer named {', '.join(lora.targets)}; "
            "set lm.lora.targets to names of its linear layers"
        ) from error
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(".lora_" in name)

"""Where weights start."""

from __future__ import annotations

from torch import nn


def bert_std(dim: int) -> float:
    """BERT's 0.02 belongs to its width of 768; at another width the same signal needs 1/√D."""
    return float(0.02 * (768 / dim) ** 0.5)


def initialise(module: nn.Module, dim: int) -> None:
    """Linear and embedding weights from N(0, bert_std(dim)), biases 0, padding rows 0."""
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.normal_(part.weight, std=bert_std(dim))
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        elif isinstance(part, nn.Embedding):
            nn.init.normal_(part.weight, std=0.02)
            if part.padding_idx is not None:
                part.weight.data[part.padding_idx].zero_()

"""Catching the tokens of parts of a model on their way, with gradients, and taking some of them out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from molfusion.batch import Tokens
from molfusion.encoders.base import Encoder, Frozen, NotApplicable
from molfusion.encoders.cached import CachedTokens
from molfusion.encoders.deepencoder import DeepEncoder
from molfusion.encoders.e3fp_tokens import E3FPTokens
from molfusion.fusion.cross_attention import CrossAttention


class Watch:
    """The parts of a model whose tokens stand for something that can be pointed at.

    Raises:
        NotApplicable: the model reads no structure tokens.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.structure = _only(model, E3FPTokens)
        if self.structure is None:
            raise NotApplicable("grounding needs structure tokens: this model has no E3FPTokens")
        if self.structure.sides == "selfies":
            raise NotApplicable("grounding needs E3FP: these structure tokens are SELFIES alone (sides: selfies)")
        self.picture = _only(model, DeepEncoder)
        self.fusion = next((m for m in _all(model, CrossAttention) if _reads(m, self.structure)), None)
        for part in _all(model, CachedTokens):
            if any(m is self.structure for m in part.encoder.modules()):
                raise NotApplicable("grounding needs the structure tokens themselves, but those of the fusion are cached")

    @contextmanager
    def tokens(self, removed: Tensor | None = None) -> Iterator[dict[str, Tokens]]:
        """While open, a forward pass leaves the tokens of `structure` and `picture` here, as leaves with gradients.

        Args:
            removed: structure tokens [B, T] to leave out; where a molecule has no other, they are zero instead.
        """
        seen: dict[str, Tokens] = {}

        def caught(name: str, out: Tokens, gone: Tensor | None) -> Tokens:
            x, mask = out.x.detach(), out.mask
            if gone is not None:
                x = x.masked_fill(gone.unsqueeze(-1), 0.0)
                left = mask & ~gone
                mask = torch.where(left.any(1, keepdim=True), left, mask)
            seen[name] = Tokens(x.requires_grad_(True), mask)
            return seen[name]

        assert self.structure is not None
        places = {"structure": (_outside(self.model, self.structure), removed)}
        if self.picture is not None:
            places["picture"] = (_outside(self.model, self.picture), None)
        with ExitStack() as stack:
            for frozen in _all(self.model, Frozen):
                if any(place is not frozen and _reads(frozen, place) for place, _ in places.values()):
                    stack.enter_context(_thawed(frozen))
            for name, (place, gone) in places.items():
                hook = place.register_forward_hook(lambda m, i, o, name=name, gone=gone: caught(name, o, gone))
                stack.callback(hook.remove)
            with torch.enable_grad():
                yield seen


def _all(model: nn.Module, kind: type[Any]) -> list[Any]:
    return [m for m in model.modules() if isinstance(m, kind)]


def _only(model: nn.Module, kind: type[Any]) -> Any:
    found = _all(model, kind)
    if len(found) > 1:
        raise NotApplicable(f"grounding of several {kind.__name__} in one model is not supported")
    return found[0] if found else None


def _reads(module: nn.Module, part: nn.Module) -> bool:
    return any(m is part for m in module.modules())


def _outside(model: nn.Module, part: Encoder) -> Encoder:
    """The `Frozen` directly around a part, whose output carries no gradient from within; else the part."""
    return next((m for m in _all(model, Frozen) if m.encoder is part), part)


@contextmanager
def _thawed(frozen: Frozen) -> Iterator[None]:
    """Let gradients through a frozen encoder; its parameters stay as they are."""
    frozen.forward = frozen.encoder.forward  # type: ignore[method-assign]
    try:
        yield
    finally:
        del frozen.forward

"""Catching the tokens of parts of a model on their way, with gradients, and taking some of them out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from molfusion.batch import Tokens
from molfusion.encoders.base import Frozen, NotApplicable
from molfusion.encoders.deepencoder import DeepEncoder
from molfusion.grounding.parts import Part, all_of, holds, outside, parts_of


class Watch:
    """The parts of a model whose tokens stand for something that can be pointed at.

    Raises:
        NotApplicable: it has no tokens that stand for atoms.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.parts = parts_of(model)
        pictures = all_of(model, DeepEncoder)
        if len(pictures) > 1:
            raise NotApplicable("explain: several DeepEncoder in one model are not supported")
        self.picture: DeepEncoder | None = pictures[0] if pictures else None

    @contextmanager
    def tokens(self, removed: Sequence[Tensor] = ()) -> Iterator[dict[nn.Module, Tokens]]:
        """While open, a forward pass leaves the tokens of each part, by its `place`, and of `picture` here, as leaves with
        gradients.

        Args:
            removed: for each part the tokens [B, T] to leave out; where a molecule has no other, or where they enter the
                encoder, they are zero instead.
        """
        seen: dict[nn.Module, Tokens] = {}
        with ExitStack() as stack:
            for frozen in all_of(self.model, Frozen):
                if any(place is not frozen and holds(frozen, place) for place in self._places()):
                    stack.enter_context(_thawed(frozen))
            for i, part in enumerate(self.parts):
                hook = _catching(part, removed[i] if removed else None, seen)
                stack.callback(hook.remove)
            if self.picture is not None:
                picture = self.picture
                hook = outside(self.model, picture).register_forward_hook(lambda m, a, out: _caught(picture, out, None, seen))
                stack.callback(hook.remove)
            with torch.enable_grad():
                yield seen

    @contextmanager
    def reading(self) -> Iterator[dict[nn.Module, list[Tensor]]]:
        """While open, a forward pass leaves here, for each part by its `place`, what each layer of cross-attention reads of
        each of its tokens: [B, queries, T], mean over heads.
        """
        read: dict[nn.Module, list[Tensor]] = {part.place: [] for part in self.parts if part.readers}

        def note(found: list[Tensor]) -> Any:
            return lambda module, inputs, _: found.append(module.weights(*inputs).detach())

        with ExitStack() as stack, torch.no_grad():
            for part in self.parts:
                for layer in part.readers:
                    stack.callback(layer.register_forward_hook(note(read[part.place])).remove)
            yield read

    def _places(self) -> list[nn.Module]:
        pictures = [] if self.picture is None else [outside(self.model, self.picture)]
        return [*(part.place for part in self.parts), *pictures]


def _catching(part: Part, gone: Tensor | None, seen: dict[nn.Module, Tokens]) -> Any:
    if part.entrance is None:
        return part.outlet.register_forward_hook(lambda m, inputs, out: _caught(part.place, out, gone, seen))

    def entering(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        everything = torch.ones(inputs[0].shape[:2], dtype=torch.bool, device=inputs[0].device)
        return (_caught(part.place, Tokens(inputs[0], everything), gone, seen).x, *inputs[1:])

    return part.place.register_forward_pre_hook(entering)


def _caught(place: nn.Module, out: Tokens, gone: Tensor | None, seen: dict[nn.Module, Tokens]) -> Tokens:
    x, mask = out.x.detach(), out.mask
    if gone is not None:
        gone = nn.functional.pad(gone, (0, x.shape[1] - gone.shape[1]))  # padding is nobody's
        x = x.masked_fill(gone.unsqueeze(-1), 0.0)
        left = mask & ~gone
        mask = torch.where(left.any(1, keepdim=True), left, mask)
    seen[place] = Tokens(x.requires_grad_(True), mask)
    return seen[place]


@contextmanager
def _thawed(frozen: Frozen) -> Iterator[None]:
    """Let gradients through a frozen encoder; its parameters stay as they are."""
    frozen.forward = frozen.encoder.__call__  # type: ignore[method-assign]  # with its hooks
    try:
        yield
    finally:
        del frozen.forward

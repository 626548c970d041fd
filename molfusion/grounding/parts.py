"""The parts of a model whose tokens stand for atoms, and where those can be caught."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import nn

import molfusion.encoders as encoders
from molfusion.encoders.base import Atomwise, Encoder, Frozen, NotApplicable
from molfusion.encoders.cached import CachedTokens
from molfusion.encoders.e3fp_tokens import E3FPTokens
from molfusion.encoders.projection import Projection
from molfusion.fusion.cross_attention import CrossAttention
from molfusion.fusion.qformer import QFormer


class Part(NamedTuple):
    """An encoder whose tokens stand for atoms."""

    encoder: Any  # Atomwise
    outlet: Encoder  # what hands its tokens on: itself, or the `Frozen` directly around it
    entrance: nn.Module | None  # the layer that its tokens enter first, where a readout may take a summary of them
    readers: list[nn.Module]  # layers of cross-attention that read its tokens

    @property
    def place(self) -> nn.Module:
        """What its tokens are caught at: before it if that is the entrance, behind it if it is the outlet."""
        return self.outlet if self.entrance is None else self.entrance


def parts_of(model: nn.Module) -> list[Part]:
    """All of them; of one inside another the outer one.

    Raises:
        NotApplicable: it has none, or its tokens cannot be caught, or nothing reads them.
    """
    able = [m for m in model.modules() if isinstance(m, Encoder) and isinstance(m, Atomwise)]
    found = [_part(model, m) for m in able if not any(m is not other and holds(other, m) for other in able)]
    if not found:
        raise NotApplicable(_none(model))
    return found


def all_of(model: nn.Module, kind: type[Any]) -> list[Any]:
    """Modules of a kind."""
    return [m for m in model.modules() if isinstance(m, kind)]


def holds(module: nn.Module, part: nn.Module) -> bool:
    """Whether a module is, or has inside, another one."""
    return any(m is part for m in module.modules())


def outside(model: nn.Module, part: Encoder) -> Encoder:
    """The `Frozen` directly around a part, whose output carries no gradient from within; else the part."""
    return next((m for m in all_of(model, Frozen) if m.encoder is part), part)


def _part(model: nn.Module, encoder: Encoder) -> Part:
    name = type(encoder).__name__
    if isinstance(encoder, E3FPTokens) and encoder.sides == "selfies":
        raise NotApplicable("explain: these E3FPTokens are SELFIES alone (sides: selfies), which are not told from atom to atom")
    if encoder.summary_tokens and not encoder.blocks:
        raise NotApplicable(f"explain: {name} has summary_tokens, so its `blocks` must say which layer its tokens enter first")
    part = Part(encoder, outside(model, encoder), encoder.blocks[0] if encoder.summary_tokens else None, [])
    for cached in all_of(model, CachedTokens):
        # Stored tokens of the encoder itself are as good as its own; those of what was made of them are not.
        if holds(cached.encoder, encoder) and (part.entrance is not None or cached.encoder is not encoder):
            raise NotApplicable(
                f"explain: {name} is not asked, as tokens made of it are read from a file (CachedTokens): train a run without"
            )
    for reader in all_of(model, QFormer):
        if reader.mask == "legacy_inverted" and holds(reader, encoder):
            raise NotApplicable("explain: this QFormer reads padding alone (mask: legacy_inverted), so no atom counts")
        if reader.encoder is part.outlet:
            part.readers.extend(layer.cross for layer in reader.bert.layers if layer.cross is not None)
    for reader in all_of(model, CrossAttention):
        if reader.context is part.outlet:
            part.readers.extend(reader.layers)
    for reader in all_of(model, Projection):
        if reader.pool == "first" and reader.encoder is part.outlet and part.entrance is None:
            raise NotApplicable(f"explain: of {name}'s tokens only the first is read (pool: first), which says nothing of atoms")
    return part


def _none(model: nn.Module) -> str:
    inner = [m for m in all_of(model, Encoder) if not any(m is not other and holds(m, other) for other in all_of(m, Encoder))]
    found = ", ".join(sorted({type(m).__name__ for m in inner})) or "none"
    kinds = [kind for kind in vars(encoders).values() if isinstance(kind, type) and issubclass(kind, Encoder)]
    able = ", ".join(sorted(kind.__name__ for kind in kinds if hasattr(kind, "token_atoms")))
    return (
        f"explain needs an encoder whose tokens stand for atoms ({able}), but this model's encoders are: {found}. An encoder of "
        "your own says which atoms by a method token_atoms(record): see docs/extending/encoder.md"
    )

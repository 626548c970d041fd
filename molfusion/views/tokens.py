"""The view `tokens`: what a frozen encoder made of a molecule, read from the store instead of computed again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from molfusion.batch import Arrays, Record, length_mask, pad
from molfusion.errors import MolfusionError
from molfusion.views.base import Features, View

DType = Literal["float32", "bfloat16", "float16"]
Pads = Literal["", "pairs", "text"]

# On disk; Arrow has no bfloat16, so its bits are kept as integers.
_STORED: dict[DType, type[np.generic]] = {"float32": np.float32, "bfloat16": np.int16, "float16": np.float16}


class TokensError(MolfusionError, ValueError):
    """A molecule's tokens were never written down, or cannot be; the message says what to do."""


@dataclass
class StoredTokens(Arrays):
    x: Tensor  # [B, T, D] in the view's dtype, 0 = padding
    mask: Tensor  # [B, T] bool


@dataclass(frozen=True)
class TokensView(View):
    """Tokens of one encoder, named by its digest; `molfusion export --tokens` writes them."""

    encoder: str  # encoder_digest() of what made them
    dtype: DType = "float32"
    # As the encoder's own views, so that training sees the same batches (`data.alike: auto`); no part of the identity.
    pads: Pads = field(default="", kw_only=True, repr=False, compare=False)  # type: ignore[misc]

    prepared: ClassVar[bool] = False
    tools: ClassVar[tuple[str, ...]] = ("torch",)

    def featurise(self, record: Record) -> Features:
        raise self.missing(record)

    def missing(self, record: Record) -> Exception:
        return TokensError(
            f"{record.id} ({record.smiles}) has no cached tokens of the encoder {self.encoder} in {self.dtype}: "
            "write those of its card with `molfusion export RUN --tokens --data.card CARD`"
        )

    def pack(self, x: Tensor) -> Features:
        """One molecule's tokens [T, D] float32 as `collate` reads them.

        Raises:
            TokensError: a value is beyond the range of the dtype, or not a number.
        """
        cast = x.to(getattr(torch, self.dtype))
        if not torch.isfinite(cast).all():
            raise TokensError(f"a token holds {float(x.abs().max()):g}, which {self.dtype} does not; try another --dtype")
        return {"x": (cast.view(torch.int16) if self.dtype == "bfloat16" else cast).numpy()}

    def collate(self, items: Sequence[Features]) -> StoredTokens:
        x = torch.from_numpy(pad([np.asarray(i["x"], dtype=_STORED[self.dtype]) for i in items]))
        return StoredTokens(
            x=x.view(torch.bfloat16) if self.dtype == "bfloat16" else x,
            mask=length_mask([len(i["x"]) for i in items]),
        )

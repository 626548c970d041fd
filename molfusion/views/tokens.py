"""The view `tokens`: what a frozen encoder made of a molecule (or of a text), read from the store instead of computed again."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from molfusion.batch import Arrays, Ragged, Record
from molfusion.errors import MolfusionError
from molfusion.views.base import Features, View, joined

DType = Literal["float32", "bfloat16", "float16"]
Pads = Literal["", "pairs", "text"]
Of = Literal["molecule", "text"]

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
    source: View | None = field(default=None, kw_only=True, repr=False, compare=False)  # the encoder's, that pads to text
    of: Of = field(default="molecule", kw_only=True, repr=False)  # what they are kept by; told by the encoder

    prepared: ClassVar[bool] = False
    tools: ClassVar[tuple[str, ...]] = ("torch",)

    def featurise(self, record: Record) -> Features:
        raise self.missing(record)

    def missing(self, record: Record) -> Exception:
        text = self.of == "text"
        what = f"the text {record.text[:60]!r}" if text else record.smiles
        whole = ". Texts are cached whole: data.sentences must not be set" if text else ""
        return TokensError(
            f"{record.id} ({what}) has no cached tokens of the encoder {self.encoder} in {self.dtype}: "
            f"write those of its card with `molfusion export RUN --tokens --data.card CARD`{whole}"
        )

    def sized_by(self) -> View:
        return self.source or self

    def key(self, record: Record) -> bytes:
        return super().key(record) if self.of == "molecule" else hashlib.blake2b(record.text.encode(), digest_size=16).digest()

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
        return self.collate_flat(joined(items))

    def collate_flat(self, fields: Mapping[str, Ragged]) -> StoredTokens:
        x = torch.from_numpy(fields["x"].padded(dtype=_STORED[self.dtype]))
        mask = torch.from_numpy(fields["x"].mask())
        return StoredTokens(x=x.view(torch.bfloat16) if self.dtype == "bfloat16" else x, mask=mask)

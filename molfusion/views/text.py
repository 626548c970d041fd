"""The view `text`: a caption (or the SMILES itself) as token ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from molfusion.batch import Arrays, Record, length_mask, pad
from molfusion.views.base import Features, View
from molfusion.views.tokenizer import EMBEDDED, load_tokenizer


@dataclass
class Texts(Arrays):
    ids: Tensor  # [B, L] int64, 0 = padding
    mask: Tensor  # [B, L] bool


@dataclass(frozen=True)
class TextView(View):
    """Token ids with the tokenizer's own special tokens ([CLS] … [SEP] for BERT), cut to `length`.

    `reads: smiles` makes any text model a molecule encoder.
    """

    tokenizer: str = EMBEDDED
    length: int = 128
    reads: Literal["text", "smiles"] = "text"

    stored: ClassVar[bool] = False
    pads: ClassVar[Literal["", "pairs", "text"]] = "text"
    tools: ClassVar[tuple[str, ...]] = ("tokenizers",)

    def featurise(self, record: Record) -> Features:
        ids = load_tokenizer(self.tokenizer).encode(record.text if self.reads == "text" else record.smiles).ids
        if len(ids) > self.length:  # keep the closing token
            ids = [*ids[: self.length - 1], ids[-1]]
        return {"ids": np.array(ids, dtype=np.int32)}

    def collate(self, items: Sequence[Features]) -> Texts:
        return Texts(
            ids=torch.from_numpy(pad([i["ids"] for i in items]).astype(np.int64)),
            mask=length_mask([len(i["ids"]) for i in items]),
        )

    @property
    def vocab_size(self) -> int:
        return load_tokenizer(self.tokenizer).get_vocab_size()

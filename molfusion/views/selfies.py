"""The view `selfies`: a molecule as a row of tokens in which valence is built in."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch

from molfusion.batch import Ragged, Record
from molfusion.chem.parse import ChemError, parse
from molfusion.chem.selfies import Constraints, alphabet, read, spell
from molfusion.errors import MolfusionError, NotFound
from molfusion.views.base import Features, View, ViewError, joined
from molfusion.views.text import Texts

BUILT_IN = "molfusion"
SPECIAL = ("[PAD]", "[BOS]", "[EOS]", "[UNK]")
PAD, BOS, EOS, UNK = range(len(SPECIAL))


class VocabularyError(MolfusionError, ValueError):
    """A file that is no vocabulary; the message says what is wrong with it."""


@dataclass(frozen=True)
class SelfiesView(View):
    """[BOS], the SELFIES of the canonical kekulised SMILES, [EOS], as token ids.

    `constraints` is what the package `selfies` lets an atom bind: a molecule beyond it (or with dummy atoms, dative or
    quadruple bonds) has no such view. `vocabulary` is `molfusion` (the built-in one: structure and common atoms) or a
    file with a token a line; a token outside it makes the molecule unusable, or [UNK] if so asked.
    """

    vocabulary: str = BUILT_IN
    length: int = 256  # tokens, with [BOS] and [EOS]; a longer molecule has no such view, as half of one is another one
    unknown: Literal["error", "unk"] = "error"
    constraints: Constraints = "default"

    tools: ClassVar[tuple[str, ...]] = ("rdkit", "selfies")

    def featurise(self, record: Record) -> Features:
        try:
            names = self.tokens(parse(record.smiles))
        except ChemError as error:
            raise ViewError(str(error)) from error
        index = _index(self.vocabulary, self.constraints)
        strange = sorted({name for name in names if name not in index})
        if strange and self.unknown == "error":
            raise ViewError(
                f"{', '.join(strange)}: not among the {len(index)} tokens of the vocabulary {self.vocabulary!r}; "
                "give a file that has it, or set `unknown: unk`"
            )
        if len(names) + 2 > self.length:
            raise ViewError(f"{len(names) + 2} tokens with [BOS] and [EOS], this view takes at most {self.length} (length)")
        return {"ids": np.array([BOS, *(index.get(name, UNK) for name in names), EOS], dtype=np.int16)}

    def collate(self, items: Sequence[Features]) -> Texts:
        return self.collate_flat(joined(items))

    def collate_flat(self, fields: Mapping[str, Ragged]) -> Texts:
        ids = fields["ids"]
        return Texts(ids=torch.from_numpy(ids.padded(PAD, np.int64)), mask=torch.from_numpy(ids.mask()))

    def tokens(self, mol: Any) -> list[str]:
        """The SELFIES of a molecule, token by token.

        Raises:
            ChemError: it has none.
        """
        return spell(mol, self.constraints).tokens

    def decode(self, ids: Sequence[int]) -> str | None:
        """Canonical SMILES of what stands between [BOS] and the first [EOS]; None where that is no molecule."""
        names = list(_index(self.vocabulary, self.constraints))
        inside: list[str] = []
        for i in ids:
            if i == EOS:
                break
            if i == UNK:
                return None
            if i not in (PAD, BOS):
                inside.append(names[i])
        return read(inside, self.constraints)

    @property
    def vocab_size(self) -> int:
        return len(_index(self.vocabulary, self.constraints))

    def name(self) -> str:
        """The settings' name and the vocabulary's content, as a file may change under its path."""
        digest = hashlib.blake2b("\n".join(_index(self.vocabulary, self.constraints)).encode(), digest_size=4).hexdigest()
        return f"{super().name()}-{digest}"


@lru_cache(maxsize=8)
def _index(vocabulary: str, constraints: Constraints) -> dict[str, int]:
    """Token -> id, the special ones first.

    Raises:
        NotFound: no such file.
        VocabularyError: it repeats a token, or has none, or too many.
    """
    if vocabulary == BUILT_IN:
        names = alphabet(constraints)
    else:
        path = Path(vocabulary).expanduser()
        if not path.is_file():
            raise NotFound(f"no SELFIES vocabulary {vocabulary!r}: expected `molfusion` or a file with a token a line")
        names = [line.strip() for line in path.read_text().splitlines() if line.strip()]
        twice = sorted(n for n, times in Counter([*names, *SPECIAL]).items() if times > 1)
        if twice or not names:
            what = f"{', '.join(twice[:5])} more than once (special tokens are added to it)" if twice else "no token"
            raise VocabularyError(f"{path} has {what}")
        if len(names) + len(SPECIAL) > np.iinfo(np.int16).max:
            raise VocabularyError(f"{path} has {len(names)} tokens, expected at most {np.iinfo(np.int16).max - len(SPECIAL)}")
    return {name: i for i, name in enumerate((*SPECIAL, *names))}

"""A view: one way of looking at a molecule. Its settings are its identity."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, ClassVar, Literal

from numpy.typing import NDArray

from molfusion.batch import Record

Features = Mapping[str, NDArray[Any]]


class ViewError(ValueError):
    """This molecule has no such view; the message says why. It becomes a row of the store's ledger."""


@dataclass(frozen=True)
class View(ABC):
    """Subclasses are frozen dataclasses: equal fields are the same view, and a batch is keyed by it.

    `featurise` is the expensive part, done once a molecule and stored; `collate` pads and decodes.
    """

    stored: ClassVar[bool] = True  # False: cheap, computed when the batch is made
    prepared: ClassVar[bool] = True  # False: `molfusion prepare` cannot fill its store; `missing` says what does
    version: ClassVar[int] = 1  # raise it when featurise() changes what it returns
    pads: ClassVar[Literal["", "pairs", "text"]] = ""  # what a batch pads to its largest: atom pairs, or text
    tools: ClassVar[tuple[str, ...]] = ("rdkit",)  # packages whose release can change what it returns

    @abstractmethod
    def featurise(self, record: Record) -> Features:
        """Arrays of one molecule.

        Raises:
            ViewError: this molecule has none; the reason.
        """

    @abstractmethod
    def collate(self, items: Sequence[Features]) -> Any:
        """One batch of what `featurise` returned: an `Arrays` (or a PyG `Data`)."""

    def missing(self, record: Record) -> Exception:
        """What to raise for a molecule that its store was never given."""
        return KeyError(f"{record.id}: not in the store of {self!r}: run `molfusion prepare` first")

    def name(self) -> str:
        """The key under which the store keeps this view: the settings and what computes them."""
        made_by = ",".join(f"{tool}={version(tool)}" for tool in self.tools)
        digest = hashlib.blake2b(f"{self!r}|{type(self).version}|{made_by}".encode(), digest_size=6)
        return f"{type(self).__name__}-{digest.hexdigest()}"

    def key(self, record: Record) -> bytes:
        """Content key of one molecule within this view, 16 bytes."""
        digest = hashlib.blake2b(record.smiles.encode(), digest_size=16)
        if record.geometry is not None:
            digest.update(b"|" + record.geometry.digest_bytes())
        return digest.digest()

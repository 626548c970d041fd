"""A view: one way of looking at a molecule. Its settings are its identity."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, ClassVar, Literal

from numpy.typing import NDArray

from molfusion.batch import Ragged, Record

Features = Mapping[str, NDArray[Any]]


def joined(items: Sequence[Features]) -> dict[str, Ragged]:
    """What `featurise` returned for several molecules, as `collate_flat` takes it."""
    return {name: Ragged.of([item[name] for item in items]) for name in items[0]}


class ViewError(ValueError):
    """This molecule has no such view; the message says why. It becomes a row of the store's ledger."""


class Fallback(dict[str, NDArray[Any]]):
    """Features that were come by in a second way; the ledger of the store keeps the reason."""

    def __init__(self, features: Features, reason: str) -> None:
        super().__init__(features)
        self.reason = reason


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
    together: ClassVar[int] = 1  # molecules at a time with which `featurise_many` is fastest

    @abstractmethod
    def featurise(self, record: Record) -> Features:
        """Arrays of one molecule.

        Raises:
            ViewError: this molecule has none; the reason.
        """

    def embedding(self, record: Record) -> View | None:
        """The view that embeds this molecule for this one; None where no coordinates have to be made."""
        return None

    def featurise_embedded(self, record: Record, embedded: Features | ViewError) -> Features:
        """The same as `featurise`, given what `embedding(record)` made of the molecule, or why it could not.

        Views with an `embedding` override this, so that it is paid once for all of them.
        """
        return self.featurise(record)

    def featurise_many(
        self, records: Sequence[Record], embedded: Sequence[Features | ViewError | None]
    ) -> list[Features | ViewError]:
        """The same of each molecule, or what it raised. Views that are faster with many at a time override this."""
        out: list[Features | ViewError] = []
        for record, lent in zip(records, embedded, strict=True):
            try:
                out.append(self.featurise(record) if lent is None else self.featurise_embedded(record, lent))
            except ViewError as error:
                out.append(error)
        return out

    @abstractmethod
    def collate(self, items: Sequence[Features]) -> Any:
        """One batch of what `featurise` returned: an `Arrays` (or a PyG `Data`)."""

    def collate_flat(self, fields: Mapping[str, Ragged]) -> Any:
        """The same batch from each field of all molecules at once, as the store gives it.

        Views whose batches are made without a loop over molecules override this.
        """
        rows = {name: field.rows() for name, field in fields.items()}
        return self.collate([dict(zip(rows, item, strict=True)) for item in zip(*rows.values(), strict=True)])

    def padded_length(self, record: Record) -> int:
        """What batches are sorted by where `pads` is `text`: how much `featurise` gives, or characters where it is dear."""
        return len(record.text) if self.stored else sum(array.size for array in self.featurise(record).values())

    def sized_by(self) -> View:
        """The view whose `padded_length` counts."""
        return self

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

"""The vocabulary: what one molecule is, what a batch of them is, what an encoder makes of it.

Sizes, the same letters everywhere: B molecules in the batch, N atoms, T tokens, D width of a token,
Q queries, P width of the shared space, K targets, L length of a text, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import DTypeLike, NDArray
from torch import Tensor

if TYPE_CHECKING:
    from molfusion.views.base import View


@dataclass(frozen=True, slots=True, eq=False)
class Geometry:
    """Coordinates a source came with, in the atom order of the record's SMILES, hydrogens after the heavy atoms."""

    numbers: NDArray[np.uint8]  # [N] atomic numbers
    positions: NDArray[np.float32]  # [N, 3] Å

    def digest_bytes(self) -> bytes:
        return self.numbers.tobytes() + np.ascontiguousarray(self.positions, dtype="<f4").tobytes()


class Fact(NamedTuple):
    """One sentence of a caption and what it speaks of (`2d`, `3d`, `ez`, `chi`), for scoring each kind apart."""

    tag: str
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Record:
    """One molecule (or one conformer of it) as its card gives it."""

    id: str
    smiles: str  # as given: unescaped, original atom order
    canonical: str  # canonical isomeric SMILES
    geometry: Geometry | None = None
    group: str = ""  # the molecule this is a conformer or stereoisomer of
    text: str = ""  # the caption or the answer
    prompt: str = ""  # the question, for instruction data
    targets: tuple[float, ...] = ()  # in the card's order and units; nan = not measured
    split: str = "train"
    facts: tuple[Fact, ...] = ()
    pools: tuple[tuple[str, str], ...] = ()  # (kind, name): small sets within which retrieval is also scored
    scope: str = "all"  # which facts `text` is restricted to
    pool: str = ""  # the pool this record is scored in under that scope
    task: str = ""  # what the question is about, where its file says so


@dataclass(frozen=True, slots=True)
class Target:
    """One number that a card gives for each molecule."""

    name: str
    unit: str = ""
    kind: Literal["regression", "classification"] = "regression"


class Tokens(NamedTuple):
    """What every encoder returns."""

    x: Tensor  # [B, T, D]
    mask: Tensor  # [B, T] bool, True = real; every row has at least one


class Arrays:
    """Base of a view's own batch: a dataclass of tensors (or None) that moves as one."""

    pairs: ClassVar[bool] = False  # whether what reads it computes over pairs of its rows

    def map(self, function: Callable[[Tensor], Tensor]) -> Self:
        values = {f.name: getattr(self, f.name) for f in fields(self)}  # type: ignore[arg-type]
        return type(self)(**{k: function(v) if isinstance(v, Tensor) else v for k, v in values.items()})

    def to(self, *args: Any, **kwargs: Any) -> Self:
        return self.map(lambda t: t.to(*args, **kwargs))

    def pin_memory(self) -> Self:
        return self.map(lambda t: t.pin_memory())

    def padding(self) -> float:
        """The share of this batch's cells (or pairs of rows) that is padding; 0 where nothing is padded."""
        mask = getattr(self, "mask", None)
        if mask is None:
            return 0.0
        cells = mask.sum(1).square() / mask.shape[1] ** 2 if self.pairs else mask.float().mean(1)
        return 1.0 - float(cells.float().mean().item())


@dataclass
class MoleculeBatch:
    """B molecules under every view that the model reads, keyed by the views themselves.

    `batch[view]` is that view's own batch; equal settings are shared and different settings coexist.
    """

    ids: list[str]
    smiles: list[str]
    texts: list[str]
    groups: list[str]
    scopes: list[str]
    pools: list[str]
    prompts: list[str]
    targets: Tensor  # [B, K] float32, nan = not measured
    views: dict[View, Any]

    @classmethod
    def of(cls, records: Sequence[Record], views: dict[View, Any], targets: Tensor | None = None) -> Self:
        """Of these records, with what the views made of them; without targets K is 0."""
        return cls(
            ids=[r.id for r in records],
            smiles=[r.smiles for r in records],
            texts=[r.text for r in records],
            groups=[r.group for r in records],
            scopes=[r.scope for r in records],
            pools=[r.pool for r in records],
            prompts=[r.prompt for r in records],
            targets=torch.zeros(len(records), 0) if targets is None else targets,
            views=views,
        )

    def __getitem__(self, view: View) -> Any:
        if view not in self.views:
            carried = ", ".join(map(repr, self.views)) or "no view"
            raise KeyError(f"this batch has no {view!r}; it carries {carried}")
        return self.views[view]

    def __len__(self) -> int:
        return len(self.ids)

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Move every tensor; the strings stay."""
        views = {view: value.to(*args, **kwargs) for view, value in self.views.items()}
        return self._with(self.targets.to(*args, **kwargs), views)

    def pin_memory(self) -> Self:
        return self._with(
            self.targets.pin_memory(), {view: value.pin_memory() for view, value in self.views.items()}
        )

    def padding(self) -> dict[str, float]:
        """Padding fraction of each view that pads, by the view's class name; of several of a class their mean."""
        shares: dict[str, list[float]] = {}
        for view, arrays in self.views.items():
            if getattr(arrays, "mask", None) is not None:
                shares.setdefault(type(view).__name__, []).append(arrays.padding())
        return {name: sum(found) / len(found) for name, found in shares.items()}

    def _with(self, targets: Tensor, views: dict[View, Any]) -> Self:
        kept = (self.ids, self.smiles, self.texts, self.groups, self.scopes, self.pools, self.prompts)
        return type(self)(*kept, targets=targets, views=views)


class Ragged(NamedTuple):
    """Arrays of B molecules, one behind the other."""

    flat: NDArray[Any]  # [Σ n_i, ...]
    lengths: NDArray[np.int64]  # [B] n_i

    @classmethod
    def of(cls, arrays: Sequence[NDArray[Any]]) -> Ragged:
        """Arrays [n_i, ...], joined."""
        return cls(np.concatenate(arrays), np.fromiter((len(a) for a in arrays), np.int64, len(arrays)))

    def starts(self) -> NDArray[np.int64]:
        """[B + 1] where in `flat` each molecule begins, and the end."""
        return np.concatenate([[0], np.cumsum(self.lengths)])

    def rows(self) -> list[NDArray[Any]]:
        """The arrays [n_i, ...] again, without a copy."""
        return np.split(self.flat, self.starts()[1:-1])

    def mask(self) -> NDArray[np.bool_]:
        """[B, max n] True below each molecule's length."""
        return np.arange(self.lengths.max())[None, :] < self.lengths[:, None]

    def padded(self, value: float = 0, dtype: DTypeLike | None = None) -> NDArray[Any]:
        """[B, max n, ...] filled with `value` on the right."""
        return spread(self.flat.astype(dtype or self.flat.dtype, copy=False), self.mask(), value)


def spread(flat: NDArray[Any], mask: NDArray[np.bool_], value: float = 0) -> NDArray[Any]:
    """[*mask.shape, ...] with the rows of flat [n, ...] where mask is True, in order, and `value` elsewhere."""
    out = np.full((*mask.shape, *flat.shape[1:]), value, dtype=flat.dtype)
    if flat.ndim == 1:
        out[mask] = flat
    else:  # whole rows as one item each: NumPy would go through their values one by one, twenty times slower
        width = math.prod(flat.shape[1:])
        row = np.dtype((np.void, width * flat.itemsize))
        out.reshape(-1, width).view(row)[:, 0][mask.ravel()] = np.ascontiguousarray(flat).reshape(-1, width).view(row)[:, 0]
    return out


def pad(arrays: Sequence[NDArray[Any]], value: float = 0) -> NDArray[Any]:
    """Stack arrays of shape [n_i, ...] into [B, max n_i, ...], filled with `value` on the right."""
    longest = max(len(a) for a in arrays)
    out = np.full((len(arrays), longest, *arrays[0].shape[1:]), value, dtype=arrays[0].dtype)
    for row, array in zip(out, arrays, strict=True):
        row[: len(array)] = array
    return out


def length_mask(lengths: Sequence[int]) -> Tensor:
    """[B, max length] bool, True below each row's length."""
    n = torch.as_tensor(lengths)
    return torch.arange(int(n.max()))[None, :] < n[:, None]

"""The contract: everything that reads a molecule is an `Encoder`; what it can do beyond that is a capability."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, Self, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn

from molfusion.batch import MoleculeBatch, Record, Tokens
from molfusion.errors import MolfusionError
from molfusion.views.base import View


class Encoder(nn.Module, ABC):
    """A batch of molecules to tokens. A fusion is an encoder made of encoders, and fits wherever one does.

    Subclasses set `dim` and `views` in their constructor, which stays cheap: no weights are fetched there.
    Tokens of a molecule depend on that molecule alone: not on its neighbours in the batch, nor on padding.
    """

    dim: int  # D of its tokens
    views: frozenset[View]  # what forward() reads, with the settings it needs
    summary_tokens: int = 0  # leading tokens that stand for the whole molecule: a readout takes the first, or leaves them out

    @abstractmethod
    def forward(self, batch: MoleculeBatch) -> Tokens:
        """Tokens (x [B, T, D], mask [B, T])."""

    def __call__(self, batch: MoleculeBatch) -> Tokens:
        """As `forward`, typed."""
        out: Tokens = super().__call__(batch)
        return out

    @property
    def blocks(self) -> list[nn.Module]:
        """The repeated layers, for sharding; an encoder without any is one piece."""
        return [block for child in self.children() for block in getattr(child, "blocks", [])]


class Objective(nn.Module, ABC):
    """A way for an encoder to train itself: heads and losses around it. What is exported is the encoder."""

    encoder: Encoder
    views: frozenset[View]  # what losses() reads

    @abstractmethod
    def losses(self, batch: MoleculeBatch) -> dict[str, Tensor]:
        """Named, unweighted scalars."""


@runtime_checkable
class Aligned(Protocol):
    """Has a molecule side and a text side that compare: similarity = max over Q of dot products."""

    loss_views: frozenset[View]  # what losses() and embed_texts() read beside `views`

    def losses(self, batch: MoleculeBatch) -> dict[str, Tensor]: ...

    def embed_molecules(self, batch: MoleculeBatch) -> Tensor: ...  # [B, Q, P] unit norm

    def embed_texts(self, batch: MoleculeBatch) -> Tensor: ...  # [B, P] unit norm


class NotApplicable(MolfusionError, TypeError):
    """This encoder cannot be asked this question; the message says why, and what would answer it."""


class WeightsError(MolfusionError, ValueError):
    """These weights are missing or are another encoder's; the message says which, and what to do."""


class MatchItem(NamedTuple):
    """What pairwise scoring needs of one molecule and its caption, on the CPU."""

    states: Tensor  # [n, E]
    ids: Tensor  # [l] token ids of the caption


@runtime_checkable
class Matching(Protocol):
    """Can score a molecule and a caption together, which no product of two vectors does."""

    def match_items(self, batch: MoleculeBatch) -> list[MatchItem]: ...

    def match_scores(self, items: Sequence[MatchItem], pairs: NDArray[np.int64]) -> NDArray[np.float64]: ...


@runtime_checkable
class Atomwise(Protocol):
    """Has tokens that stand for atoms, so that an answer can be traced back to them (`molfusion explain`).

    An encoder with `summary_tokens` has them traced to where they enter the first of its `blocks`, which takes [B, T, D]
    first: a readout may take the summary alone, and that has read the atoms by then.
    """

    def token_atoms(self, record: Record) -> NDArray[np.int64]: ...  # [T] index in the SMILES, -1 = no atom; without padding


@runtime_checkable
class Pretrained(Protocol):
    """Has published weights that are read only when a task needs them, not when the module is built."""

    needs_weights: bool

    def load_pretrained(self) -> None: ...


class Frozen(Encoder):
    """An encoder that does not learn: no gradients, and eval mode even while the rest trains."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder.eval().requires_grad_(False)
        self.dim, self.views, self.summary_tokens = encoder.dim, encoder.views, encoder.summary_tokens

    def forward(self, batch: MoleculeBatch) -> Tokens:
        with torch.no_grad():
            return self.encoder(batch)

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        self.encoder.eval()  # Lightning would wake dropout and batch norm
        return self


def merge_views(*owners: Any) -> frozenset[View]:
    """The union of what several encoders (or None) read; equal views are one."""
    return frozenset().union(*(owner.views for owner in owners if owner is not None))


def restore(encoder: Encoder, weights: Path) -> Encoder:
    """The encoder with exported weights, strictly. Usable as a `class_path`; `molfusion export` writes such files.

    Raises:
        WeightsError: no such file, or the weights are of another encoder; the first differences are named.
    """
    if not Path(weights).is_file():
        raise WeightsError(f"no weights at {weights}; `molfusion export RUN` writes them")
    state = load_file(weights)
    check_same(encoder.state_dict(), state, weights)
    encoder.load_state_dict(state)
    for module in encoder.modules():
        if isinstance(module, Pretrained):
            module.needs_weights = False
    return encoder


def load_pretrained(module: nn.Module) -> None:
    """Fetch the published weights of every part that wants them and has not got them."""
    for part in module.modules():
        if isinstance(part, Pretrained) and getattr(part, "needs_weights", False):
            part.load_pretrained()


def check_same(expected: dict[str, Tensor], found: dict[str, Tensor], source: Path) -> None:
    """Compare two state dicts by names and shapes.

    Raises:
        WeightsError: they differ; the first differences.
    """

    def listed(keys: Iterable[str]) -> str:
        keys = sorted(keys)
        return ", ".join(keys[:4]) + (f" and {len(keys) - 4} more" if len(keys) > 4 else "")

    problems = []
    if missing := expected.keys() - found.keys():
        problems.append(f"lacks {listed(missing)}")
    if extra := found.keys() - expected.keys():
        problems.append(f"has unknown {listed(extra)}")
    shapes = [k for k in expected.keys() & found.keys() if expected[k].shape != found[k].shape]
    if shapes:
        k = min(shapes)
        problems.append(f"{k} is {list(found[k].shape)}, expected {list(expected[k].shape)}")
    if problems:
        raise WeightsError(f"{source} does not fit this encoder: it {'; '.join(problems)}")

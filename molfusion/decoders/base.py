"""The contract: what turns one vector back into a molecule."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Protocol, runtime_checkable

from torch import Tensor, nn

from molfusion.batch import MoleculeBatch
from molfusion.views.base import View

Stop = Callable[[], bool]  # asked between the steps of writing: is it time to end?


class LatentDecoder(nn.Module, ABC):
    """A latent to a molecule, and how far it is from the right one.

    Subclasses set `dim` and `views` in their constructor, which stays cheap. A subclass whose loss has several terms
    may also offer `parts(latent, batch) -> dict[str, Tensor]`, whose sum is `reconstruction`.
    """

    dim: int  # D of the latent
    views: frozenset[View]  # what reconstruction() reads

    @abstractmethod
    def reconstruction(self, latent: Tensor, batch: MoleculeBatch) -> Tensor:
        """Negative log-likelihood of the batch's molecules given latent [B, D]: summed over a molecule, mean over B."""

    @abstractmethod
    def decode(self, latent: Tensor, stop: Stop | None = None) -> list[str | None]:
        """Canonical SMILES of latent [B, D], one a row; None where no molecule came out. Never raises.

        Args:
            latent: [B, D].
            stop: once it says so, rows that are not complete are None; by default all are written to their end.
        """

    @property
    def blocks(self) -> list[nn.Module]:
        """The repeated layers, for sharding."""
        return []


@runtime_checkable
class Reconstructs(Protocol):
    """Can say which molecules it takes a batch for, having seen it through a latent."""

    def reconstruct(self, batch: MoleculeBatch) -> list[str | None]: ...

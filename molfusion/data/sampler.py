"""Which molecules make a batch, in which order: a function of (seed, epoch, rank) and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler


class BatchOrder(Sampler[list[tuple[int, int]]]):
    """Batches of (index, epoch), shuffled anew each epoch, every rank its own share, no molecule twice.

    The last, smaller batch is left out in training: a contrastive loss over three molecules is noise.
    """

    def __init__(
        self,
        size: int,
        batch_size: int,
        seed: int = 0,
        shuffle: bool = True,
        rank: int = 0,
        world: int = 1,
        groups: Sequence[str] | None = None,
    ) -> None:
        """An order over `size` molecules.

        Args:
            size: how many there are.
            batch_size: of each rank.
            seed: of the shuffling.
            shuffle: in training; evaluation keeps the order and the last, smaller batch.
            rank: whose share.
            world: how many ranks share.
            groups: one name a molecule; those of a group stay side by side, as hard negatives of each other.
        """
        self.size, self.batch_size, self.seed, self.shuffle = size, batch_size, seed, shuffle
        self.rank, self.world = rank, world
        self._group = None if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
        self.epoch = 0
        self.start = 0  # batches to leave out of the next round, when a run is resumed in the middle of an epoch

    @property
    def sampler(self) -> BatchOrder:
        """Itself: the trainer looks for `set_epoch` on a batch sampler's sampler."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Called by the trainer at the start of every epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        if not self.shuffle:
            share = (self.size + self.world - 1) // self.world
            return (share + self.batch_size - 1) // self.batch_size
        return self.size // (self.batch_size * self.world) or 1

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        order = self._order()
        start, self.start = self.start, 0
        for batch in range(start, len(self)):
            first = (batch * self.world + self.rank) * self.batch_size
            indices = order[first : first + self.batch_size]
            # In evaluation the last round may leave a rank without work; it repeats one molecule, dropped by id later,
            # so that all ranks make the same number of steps.
            yield [(int(i), self.epoch) for i in (indices if len(indices) else order[:1])]

    def _order(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        if not self.shuffle:
            return np.arange(self.size)
        rng = np.random.default_rng((self.seed, self.epoch))
        order = rng.permutation(self.size)
        if self._group is None:
            return order
        place = rng.permutation(int(self._group.max()) + 1)
        return order[np.argsort(place[self._group[order]], kind="stable")]


class ResumableLoader(DataLoader[Any]):
    """A DataLoader that a checkpoint can continue in the middle of an epoch."""

    def __init__(self, dataset: Dataset[Any], order: BatchOrder, **kwargs: Any) -> None:
        super().__init__(dataset, batch_sampler=order, **kwargs)
        self.order = order
        self.position = 0

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        self.position = self.order.start
        for batch in super().__iter__():
            self.position += 1
            yield batch

    def state_dict(self) -> dict[str, int]:
        """Where in the epoch training stands (batches used)."""
        return {"position": self.position}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on after that many batches of the epoch."""
        self.order.start = state["position"] % len(self.order)


def worker_init(_: int) -> None:
    """One thread a worker: they run beside each other."""
    torch.set_num_threads(1)

"""Which molecules make a batch, in which order: a function of (seed, epoch, rank) and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset, Sampler

from molfusion.data.balance import draw

Indices = NDArray[np.int64]


class BatchOrder(Sampler[list[tuple[int, int]]]):
    """Batches of (index, epoch), shuffled anew each epoch, every rank its own share, no molecule twice.

    With `lengths`, batches are cut from sorted pools, so that molecules of one batch are of like size; the order of the
    batches is random all the same. In training the last molecules that do not fill a batch are left out of the epoch:
    others each time, and a contrastive loss over three molecules is noise. With `sources` an epoch is as many draws as there
    are molecules instead.
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
        lengths: Sequence[int] | None = None,
        texts: Sequence[int] | None = None,
        pool: int = 100,
        most_pairs: int | None = None,
        sources: Sequence[str] | None = None,
        balance: float = 1.0,
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
            lengths: one a molecule (atoms, tokens); like goes with like.
            texts: a second length of each: like goes with like in both, by strips of like `texts` sorted by `lengths`.
            pool: how many batches are sorted together; more pad less and mix less.
            most_pairs: cap on batch × longest², by batches of half, a quarter, … of `batch_size`; needs `lengths`.
            sources: one name a molecule; in training, sources are drawn by their size to the power of `balance`.
            balance: see `molfusion.data.balance`.
        """
        if groups is not None and lengths is not None:
            raise ValueError("a batch order keeps groups together or sorts by length, not both")
        if most_pairs is not None and lengths is None:
            raise ValueError("most_pairs needs lengths")
        if texts is not None and lengths is None:
            raise ValueError("texts is a second length: give lengths too")
        if sources is not None and (groups is not None or most_pairs is not None):
            raise ValueError("draws from sources neither keep groups together nor cap pairs")
        self.size, self.batch_size, self.seed, self.shuffle = size, batch_size, seed, shuffle
        self.rank, self.world, self.pool, self.most_pairs = rank, world, pool, most_pairs
        self._group = None if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
        self._source = None if sources is None else np.unique(np.asarray(sources), return_inverse=True)[1]
        self.balance = balance
        self._lengths = None if lengths is None else np.asarray(lengths, dtype=np.int64)
        self._texts = None if texts is None else np.asarray(texts, dtype=np.int64)
        self._halved = self._halvings()
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
        """The same in every epoch."""
        if not self.shuffle:
            share = (self.size + self.world - 1) // self.world
            return (share + self.batch_size - 1) // self.batch_size
        return len(self._cut(np.arange(self.size)))

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        batches = self._shuffled() if self.shuffle else self._in_order()
        start, self.start = self.start, 0
        for batch in batches[start:]:
            mine = batch[self.rank :: self.world]
            # In evaluation the last round may leave a rank without work; it repeats one molecule, dropped by id later,
            # so that all ranks make the same number of steps.
            yield [(int(i), self.epoch) for i in (mine if len(mine) else batch[:1])]

    # -- batches of all ranks together -----------------------------------------------------------------

    def _in_order(self) -> list[Indices]:
        step = self.batch_size * self.world
        return [np.arange(i, min(i + step, self.size)) for i in range(0, self.size, step)]

    def _shuffled(self) -> list[Indices]:
        rng = np.random.default_rng((self.seed, self.epoch))
        order = rng.permutation(self.size) if self._source is None else draw(self._source, self.balance, rng)
        if self._group is not None:
            place = rng.permutation(int(self._group.max()) + 1)
            order = order[np.argsort(place[self._group[order]], kind="stable")]
        batches = self._cut(order)
        if self._lengths is None:
            return batches
        return [batches[i] for i in rng.permutation(len(batches))]

    def _cut(self, order: Indices) -> list[Indices]:
        """Batches of an order; what does not fill one goes on to the next smaller kind."""
        batches: list[Indices] = []
        left = order[:0]
        for halved in range(int(self._halved.max(initial=0)) + 1):
            step = max(1, self.batch_size >> halved) * self.world
            mine = np.concatenate([left, order[self._halved[order] == halved]])
            full = len(mine) // step * step
            left = mine[full:]
            for pooled in np.split(mine[:full], range(self.pool * step, full, self.pool * step)):
                pooled = self._sorted(pooled, step)
                batches += [pooled[i : i + step] for i in range(0, len(pooled), step)]
        # Few molecules are one small batch; and with a cap the longest would otherwise be left out every time.
        if len(left) and (not batches or self.most_pairs is not None):
            even = len(left) // self.world * self.world or len(left)  # as many on every rank: losses gather across them
            batches.append(left[:even])
        return batches

    def _sorted(self, pooled: Indices, step: int) -> Indices:
        """Like beside like: by length, or within each strip of texts of like length."""
        if self._lengths is None:
            return pooled
        strips = [pooled]
        if self._texts is not None:
            # Twice as many strips as batches in one: of real descriptions and molecules, lengths of text spread wider.
            batches = len(pooled) // step
            wide = step * max(1, round(np.sqrt(batches / 2)))
            strips = np.split(pooled[np.argsort(self._texts[pooled], kind="stable")], range(wide, len(pooled), wide))
        return np.concatenate([strip[np.argsort(self._lengths[strip], kind="stable")] for strip in strips])

    def _halvings(self) -> Indices:
        """[size] how often the batch size is halved for a molecule so large."""
        if self._lengths is None or self.most_pairs is None:
            return np.zeros(self.size, dtype=np.int64)
        allowed = np.maximum(1, self.most_pairs // np.maximum(1, self._lengths**2))
        halved: Indices = np.ceil(np.log2(np.maximum(1, self.batch_size / allowed))).astype(np.int64)
        return halved


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

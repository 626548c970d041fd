import itertools

import numpy as np
import pytest
import torch

from molfusion.data.balance import shares
from molfusion.data.sampler import BatchOrder, ResumableLoader


def flat(order):
    return [i for batch in order for i, _ in batch]


def test_every_molecule_once_an_epoch_in_another_order_each():
    order = BatchOrder(20, 5, seed=3)
    first = flat(order)
    order.set_epoch(1)
    second = flat(order)
    assert sorted(first) == sorted(second) == list(range(20))
    assert first != second
    order.set_epoch(0)
    assert flat(order) == first


def test_training_leaves_the_small_last_batch_out_and_evaluation_keeps_it():
    assert [len(b) for b in BatchOrder(11, 4)] == [4, 4]
    assert [len(b) for b in BatchOrder(11, 4, shuffle=False)] == [4, 4, 3]
    assert len(BatchOrder(3, 8)) == 1  # fewer molecules than a batch are one small batch


def test_ranks_share_without_overlap():
    shares = [flat(BatchOrder(24, 3, seed=1, rank=r, world=4)) for r in range(4)]
    together = [i for share in shares for i in share]
    assert sorted(together) == list(range(24))
    # Together the ranks see what one process with the whole batch would, step by step.
    whole = [sorted(i for i, _ in b) for b in BatchOrder(24, 12, seed=1)]
    steps = zip(*(list(BatchOrder(24, 3, seed=1, rank=r, world=4)) for r in range(4)), strict=True)
    assert [sorted(i for b in step for i, _ in b) for step in steps] == whole


def test_evaluation_covers_all_and_ranks_keep_step():
    orders = [BatchOrder(10, 4, shuffle=False, rank=r, world=2) for r in range(2)]
    assert len({len(list(o)) for o in orders}) == 1
    assert set(flat(orders[0])) | set(flat(orders[1])) == set(range(10))


def test_groups_stay_side_by_side():
    groups = [f"g{i // 3}" for i in range(30)]
    order = BatchOrder(30, 6, groups=groups)
    for epoch in range(3):
        order.set_epoch(epoch)
        found = flat(order)
        assert sorted(found) == list(range(30))
        for start in range(0, 30, 3):
            assert len({groups[i] for i in found[start : start + 3]}) == 1


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_continues_in_the_middle_of_an_epoch(workers):
    class Same(torch.utils.data.Dataset):
        def __getitems__(self, batch):
            return batch

    def loader():
        return ResumableLoader(Same(), BatchOrder(24, 4, seed=5), collate_fn=lambda b: b, num_workers=workers)

    whole = list(loader())
    half = loader()
    running = iter(half)
    for _ in range(2):
        next(running)
    state = half.state_dict()
    resumed = loader()
    resumed.load_state_dict(state)
    assert list(resumed) == whole[2:]
    assert len(list(resumed)) == len(whole)  # the epoch after it is whole again


LENGTHS = np.random.default_rng(0).integers(1, 100, 640)


def test_like_goes_with_like_and_every_molecule_comes():
    def waste(order):
        batches = [[i for i, _ in b] for b in order]
        padded = sum(LENGTHS[b].max() * len(b) for b in batches)
        return 1 - sum(LENGTHS[b].sum() for b in batches) / padded

    sorted_, plain = BatchOrder(640, 16, lengths=LENGTHS, pool=10), BatchOrder(640, 16)
    assert waste(sorted_) < 0.1 < 0.4 < waste(plain)
    assert sorted(flat(sorted_)) == list(range(640))
    first = [LENGTHS[[i for i, _ in b]].max() for b in sorted_]
    assert any(a > b for a, b in itertools.pairwise(first)), "batches come in order of size"
    before = flat(sorted_)
    sorted_.set_epoch(1)
    assert flat(sorted_) != before


def test_ranks_share_sorted_batches():
    whole = [sorted(i for i, _ in b) for b in BatchOrder(640, 16, seed=2, lengths=LENGTHS)]
    orders = [BatchOrder(640, 4, seed=2, rank=r, world=4, lengths=LENGTHS) for r in range(4)]
    steps = list(zip(*(list(o) for o in orders), strict=True))
    assert [sorted(i for b in step for i, _ in b) for step in steps] == whole
    longest = [[max(LENGTHS[i] for i, _ in b) for b in step] for step in steps]
    assert np.mean([max(x) - min(x) for x in longest]) < 2, "no rank waits for another"


def test_a_cap_on_pairs_holds_and_leaves_nobody_out_for_good():
    order = BatchOrder(640, 16, lengths=LENGTHS, most_pairs=20_000)
    seen = set()
    for epoch in range(3):
        order.set_epoch(epoch)
        batches = [[i for i, _ in b] for b in order]
        assert len(batches) == len(order)
        for b in batches:
            assert len(b) * LENGTHS[b].max() ** 2 <= 20_000
        found = [i for b in batches for i in b]
        assert len(found) == len(set(found))
        seen |= set(found)
    assert seen == set(range(640))
    assert {len(b) for b in batches} >= {2, 4, 8, 16}


def test_contradictory_orders_are_refused():
    with pytest.raises(ValueError, match="groups together or"):
        BatchOrder(2, 1, groups=["a", "b"], lengths=[1, 2])
    with pytest.raises(ValueError, match="give lengths too"):
        BatchOrder(2, 1, texts=[1, 2])
    with pytest.raises(ValueError, match="needs lengths"):
        BatchOrder(2, 1, most_pairs=5)


@pytest.mark.parametrize("size", [1, 2, 15])
def test_ranks_share_a_small_batch_evenly(size):
    """A contrastive loss gathers features of all ranks, which must be equally many."""
    shares = [list(BatchOrder(size, 16, rank=rank, world=2)) for rank in range(2)]
    assert [len(batches) for batches in shares] == [1, 1]
    assert len(shares[0][0]) == len(shares[1][0]) == max(1, size // 2)


def test_batches_alike_in_both_lengths():
    """Atoms and tokens drawn apart: by one of them the other is as in random batches, by both each is near its best."""
    rng = np.random.default_rng(0)
    atoms, tokens = rng.permutation(3200) % 100 + 1, rng.permutation(3200) % 100 + 1

    def padding(values, **lengths):
        batches = [np.array([i for i, _ in b]) for b in BatchOrder(3200, 32, seed=1, **lengths)]
        assert sorted(np.concatenate(batches)) == list(range(3200))
        return np.mean([1 - values[b].mean() / values[b].max() for b in batches])

    both, one = {"lengths": atoms, "texts": tokens}, {"lengths": atoms}
    assert padding(tokens, **one) > 0.4
    assert padding(atoms, **one) < 0.03
    assert padding(tokens, **both) < 0.11
    assert padding(atoms, **both) < 0.18


def test_two_lengths_are_exact_on_every_rank():
    both = {"lengths": LENGTHS, "texts": LENGTHS[::-1], "seed": 2}
    whole = [sorted(i for i, _ in b) for b in BatchOrder(640, 16, **both)]
    orders = [BatchOrder(640, 4, rank=r, world=4, **both) for r in range(4)]
    assert [sorted(i for part in parts for i, _ in part) for parts in zip(*orders, strict=True)] == whole


# -- draws from sources ------------------------------------------------------------------------------


def test_shares_by_hand():
    """256, 16 and 1 questions weigh 4, 2 and 1 under a power of a quarter."""
    assert shares([256, 16, 1], 0.25).tolist() == pytest.approx([4 / 7, 2 / 7, 1 / 7])
    assert shares([256, 16, 1], 0.0).tolist() == pytest.approx([1 / 3] * 3)
    assert shares([3, 1], 1.0).tolist() == [0.75, 0.25]


NAMES = ["many"] * 256 + ["some"] * 16 + ["one"]


def balanced(rank=0, world=1, batch=8, **settings):
    return BatchOrder(273, batch, seed=4, rank=rank, world=world, sources=NAMES, balance=0.25, **settings)


def test_sources_come_by_their_shares_and_their_records_alike():
    order, drawn = balanced(), []
    for epoch in range(60):
        order.set_epoch(epoch)
        drawn += flat(order)
    counts = np.bincount(drawn, minlength=273)
    assert len(drawn) == 60 * 272  # what fills no batch is left out
    found = [sum(counts[i] for i, n in enumerate(NAMES) if n == name) / len(drawn) for name in ("many", "some", "one")]
    assert found == pytest.approx([4 / 7, 2 / 7, 1 / 7], abs=0.012)  # three standard errors
    expected = len(drawn) * (2 / 7) / 16
    assert counts[256:272] == pytest.approx(np.full(16, expected), abs=5 * expected**0.5)


@pytest.mark.parametrize("lengths", [None, LENGTHS[:273]])
def test_ranks_share_the_draws_of_one_process(lengths):
    for epoch in range(2):
        whole, parts = balanced(batch=16, lengths=lengths), [balanced(r, 4, 4, lengths=lengths) for r in range(4)]
        for order in (whole, *parts):
            order.set_epoch(epoch)
        assert [len(list(p)) for p in parts] == [len(whole)] * 4
        steps = zip(*parts, strict=True)
        assert [sorted(i for b in step for i, _ in b) for step in steps] == [sorted(i for i, _ in b) for b in whole]


def test_draws_are_those_of_seed_and_epoch_and_evaluation_keeps_order():
    first, again = balanced(), balanced()
    assert list(first) == list(again)
    again.set_epoch(1)
    assert flat(first) != flat(again)
    resumed = balanced()
    resumed.start = 5
    assert list(resumed) == list(first)[5:]
    assert flat(balanced(shuffle=False)) == list(range(273))
    with pytest.raises(ValueError, match="neither keep groups together nor cap pairs"):
        balanced(groups=NAMES)

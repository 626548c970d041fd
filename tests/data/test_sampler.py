import pytest
import torch

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

import pytest
import torch
from torch import nn

from molfusion.tasks import AdamWMatrices, EpochDecay, WarmupCosine


def test_only_matrices_decay():
    module = nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3), nn.Embedding(4, 2))
    optimizer = AdamWMatrices(module.parameters(), lr=0.1, weight_decay=0.5)
    before = {name: p.detach().clone() for name, p in module.named_parameters()}
    for p in module.parameters():
        p.grad = torch.zeros_like(p)
    optimizer.step()
    for name, p in module.named_parameters():
        torch.testing.assert_close(p.detach(), before[name] * (0.95 if p.ndim > 1 else 1.0))
    assert [len(g["params"]) for g in AdamWMatrices([nn.Parameter(torch.ones(2))]).param_groups] == [1]


def test_decay_from_epoch_to_epoch():
    """Five epochs of four steps."""
    factors = [EpochDecay(5, 0.5).factor(step, 20) for step in range(20)]
    assert factors == [0.5 ** (step // 4) for step in range(20)]


def test_the_first_step_of_hugging_faces_schedule_does_nothing():
    schedule = WarmupCosine(10, 0.0, from_zero=True)
    assert [schedule.factor(s, 100) for s in (0, 1, 10)] == [0.0, pytest.approx(0.1), 1.0]

import pytest
import torch
from torch import nn

from molfusion.nn.ema import Average
from molfusion.nn.standard import Standard


def module(value):
    made = nn.Linear(1, 1, bias=False)
    nn.init.constant_(made.weight, value)
    return made


def test_it_copies_first_and_then_follows():
    followed = module(0.0)
    average = Average(followed, beta=0.9, power=0.5, copied=2)
    for value, expected in ((1.0, 1.0), (2.0, 2.0)):
        nn.init.constant_(followed.weight, value)
        average.update(followed)
        assert average.module.weight.item() == expected
    nn.init.constant_(followed.weight, 4.0)
    average.update(followed)  # the third: k = 1, keeps 1 - 2^-0.5
    kept = 1 - 2**-0.5
    assert average.kept().item() == pytest.approx(kept)
    assert average.module.weight.item() == pytest.approx(kept * 2 + (1 - kept) * 4)
    average.updates += 10_000
    assert average.kept().item() == pytest.approx(0.9)


def test_it_does_not_learn_and_lives_in_the_state_dict():
    average = Average(nn.Sequential(nn.Linear(2, 2), nn.Dropout()))
    assert not any(p.requires_grad for p in average.parameters())
    assert not average.module.training
    average.update(nn.Sequential(nn.Linear(2, 2), nn.Dropout()))
    again = Average(nn.Sequential(nn.Linear(2, 2), nn.Dropout()))
    again.load_state_dict(average.state_dict())
    assert again.updates.item() == 1
    assert torch.equal(again.module[0].weight, average.module[0].weight)


def test_standard_is_what_numpy_says():
    torch.manual_seed(0)
    x = torch.randn(100, 3) * torch.tensor([1.0, 2.0, 0.1]) + torch.tensor([5.0, 0.0, -1.0])
    standard = Standard(3)
    assert torch.equal(standard(x), x)
    for part in x.split(30):
        standard.learn(part)
    mean, scale = standard.statistics()
    torch.testing.assert_close(mean, x.mean(0), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(scale[0], x.var(0, correction=0).mean().sqrt(), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(standard.back(standard(x)), x, atol=1e-5, rtol=1e-5)
    spread = standard(x).std(0)
    assert spread[1] > spread[0] > spread[2]  # one scale for all axes


def test_standard_stands_still_after_so_many():
    standard = Standard(2, most=10)
    standard.learn(torch.ones(10, 2))
    standard.learn(torch.zeros(10, 2))
    assert standard.statistics()[0].tolist() == [1.0, 1.0]

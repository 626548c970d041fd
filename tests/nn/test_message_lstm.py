"""The levels in one node of the autograd graph, beside the same written row by row."""

import pytest
import torch

from molfusion.nn.message_gru import MessageGRU
from molfusion.nn.message_lstm import Levels, MessageLSTM, cell, gathered

NEAR = torch.tensor([[0, 0, 0], [0, 0, 0], [1, 0, 0], [1, 2, 0], [3, 4, 1], [5, 2, 0]])
LEVELS = Levels(NEAR, [2, 2, 1, 1], [0, 2, 3, 2])


def row_by_row(lstm, x, near):
    """h of each row from the definition; gates as four separate layers."""
    h, c = [x.new_zeros(lstm.dim)], [x.new_zeros(lstm.dim)]
    for own, names in zip(x, near, strict=True):
        k = [int(n) for n in names if n]
        total = sum((h[n] for n in k), x.new_zeros(lstm.dim))
        both = torch.cat([own, total])
        new = lstm.input(both).sigmoid() * lstm.candidate(both).tanh()
        for n in k:
            new = new + lstm.forget(torch.cat([own, h[n]])).sigmoid() * c[n]
        c.append(new)
        h.append(lstm.output(both).sigmoid() * new.tanh())
    return torch.stack(h)


@pytest.mark.parametrize("coded", [False, True])
def test_rows_and_gradients(coded):
    torch.manual_seed(0)
    lstm = MessageLSTM(5, 7)
    x = torch.randn(4 if coded else 6, 5)
    code = torch.tensor([0, 1, 2, 2, 3, 0]) if coded else None
    cotangent = torch.randn(7, 7)
    results = []
    for plain in (False, True):
        lstm.zero_grad()
        given = x.clone().requires_grad_()
        rows = given if code is None or not plain else given[code]
        out = row_by_row(lstm, rows, NEAR) if plain else lstm(lstm.project(given), LEVELS, code)
        (out * cotangent).sum().backward()
        results.append([out.detach(), given.grad, *(p.grad for p in lstm.parameters())])
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)


def test_nothing_to_compute():
    lstm = MessageLSTM(5, 7)
    x = torch.zeros(0, 5, requires_grad=True)
    out = lstm(lstm.project(x), Levels(torch.zeros(0, 1, dtype=torch.int64), [], []))
    assert out.shape == (1, 7)
    out.sum().backward()
    assert not out.any()


def test_float32_under_autocast():
    torch.manual_seed(0)
    lstm = MessageLSTM(5, 7)
    x = torch.randn(6, 5)
    expected = lstm(lstm.project(x), LEVELS)
    with torch.autocast("cpu", torch.bfloat16):
        found = lstm(lstm.project(x.bfloat16().float()), LEVELS)
        assert found.dtype == torch.float32
        torch.testing.assert_close(lstm(lstm.project(x), LEVELS), expected)


def test_one_step_without_gradients_is_the_same():
    torch.manual_seed(0)
    lstm = MessageLSTM(5, 7)
    x = torch.randn(6, 5)
    h = c = through = torch.zeros(1, 7)
    weights = lstm.weights()
    for r in range(6):
        near = NEAR[r : r + 1]
        new, state = cell(lstm.project(x[r : r + 1]), h[near], through[near], c[near], weights)
        h, c, through = torch.cat([h, new]), torch.cat([c, state]), torch.cat([through, new @ weights.forget.T])
    torch.testing.assert_close(h, lstm(lstm.project(x), LEVELS), atol=1e-6, rtol=1e-5)


def test_gathered_sums_rows():
    rows = torch.tensor([[0.0], [1.0], [2.0], [4.0]])
    assert gathered(rows, torch.tensor([[1, 3], [2, 0]])).tolist() == [[5.0], [2.0]]


def test_gru_by_hand():
    """One row from nothing, and one that reads it."""
    torch.manual_seed(0)
    gru = MessageGRU(3, 4)
    x = torch.randn(2, 3)
    out = gru(gru.project(x), Levels(torch.tensor([[0], [1]]), [1, 1], [0, 1]))
    nothing = torch.zeros(4)
    first = gru.update(torch.cat([x[0], nothing])).sigmoid() * gru.candidate(torch.cat([x[0], nothing])).tanh()
    torch.testing.assert_close(out[1], first)
    z = gru.update(torch.cat([x[1], first])).sigmoid()
    r = (gru.reset_own(x[1]) + gru.reset_near(first)).sigmoid()
    second = (1 - z) * first + z * gru.candidate(torch.cat([x[1], r * first])).tanh()
    torch.testing.assert_close(out[2], second)

import math

import pytest
import torch
import torch.nn.functional as F

from molfusion.nn.contrastive import contrastive, similarity


def test_by_hand():
    """Two orthogonal pairs at temperature 1: logits are the identity, loss is log(1 + 1/e)."""
    eye = torch.eye(2)
    out = contrastive(eye.unsqueeze(1), eye, 1.0, "detached")
    assert out.loss.item() == pytest.approx(math.log(1 + math.exp(-1)))
    assert torch.equal(out.molecule_logits, eye)


def test_the_best_query_counts():
    molecules = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    assert similarity(molecules, torch.tensor([[0.0, 1.0], [0.6, 0.8]])).tolist() == [[1.0, pytest.approx(0.8)]]


def test_detached_halves_what_each_side_learns():
    torch.manual_seed(0)
    m, t = F.normalize(torch.randn(4, 1, 8), dim=-1), F.normalize(torch.randn(4, 8), dim=-1)

    def gradient(gather):
        a, b = m.clone().requires_grad_(), t.clone().requires_grad_()
        contrastive(a, b, 0.1, gather).loss.backward()
        return a.grad, b.grad

    # With gradients through the gather, both terms of the loss reach both sides.
    rows = m.clone().requires_grad_()
    F.cross_entropy(rows.squeeze(1) @ t.T / 0.1, torch.arange(4)).div(2).backward()
    torch.testing.assert_close(gradient("detached")[0], rows.grad)
    assert not torch.allclose(gradient("gradient")[0], rows.grad)

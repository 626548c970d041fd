import math

import pytest
import torch

from molfusion.nn.gaussian import GaussianPairs, gaussian_density


def test_formula_with_the_published_pi():
    found = gaussian_density(torch.tensor([1.5]), torch.tensor([1.0]), torch.tensor([0.5])).item()
    expected = math.exp(-0.5) / (math.sqrt(2 * 3.14159) * 0.5)
    assert found == pytest.approx(expected, rel=1e-7)
    assert abs(expected - math.exp(-0.5) / (math.sqrt(2 * math.pi) * 0.5)) > 1e-7  # and it makes a difference


def test_float32_under_autocast():
    layer = GaussianPairs(8, 4)
    distances, types = torch.rand(1, 3, 3) * 10, torch.zeros(1, 3, 3, dtype=torch.long)
    expected = layer(distances, types)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = layer(distances, types)
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)


def test_reach_spreads_the_kernels():
    layer = GaussianPairs(5, 4, reach=12.0)
    assert layer.means.tolist() == [0, 3, 6, 9, 12]
    assert GaussianPairs(64, 4).means.max() <= 3


def test_gradients_are_those_of_the_formula():
    x, means = torch.randn(2, 3, dtype=torch.float64), torch.randn(4, dtype=torch.float64)
    stds = torch.rand(4, dtype=torch.float64) + 0.3
    assert torch.autograd.gradcheck(gaussian_density, [t.requires_grad_() for t in (x, means, stds)])


def test_no_denormal_numbers_and_nan_is_still_nan():
    """They are lost in any sum, and slow down what multiplies by them a hundredfold."""
    x = torch.tensor([*torch.linspace(0, 20, 4001).tolist(), math.nan])
    found = gaussian_density(x, torch.zeros(1), torch.ones(1)).squeeze(-1)
    assert found[-1].isnan()
    small = found[:-1][found[:-1] < 1e-30]
    assert len(small)
    assert (small == 0).all()
    exact = torch.exp(-x[:-1].double().square() / 2) / math.sqrt(2 * 3.14159)
    torch.testing.assert_close(found[:-1].double(), exact, rtol=1e-5, atol=1e-26)

"""Latent diffusion on hand-made denoisers; the official numbers are in tests/parity."""

import math

import pytest
import torch
from torch import nn

from molfusion.nn.denoiser import Denoiser
from molfusion.nn.diffusion import Diffusion, alphas_of, betas, condition


class Knows(nn.Module):
    """A denoiser that knows the answer: the condition itself, and 7 where there is none."""

    def __init__(self, dim=3):
        super().__init__()
        self.nothing = nn.Embedding.from_pretrained(torch.full((1, dim), 7.0))

    def forward(self, x, t, context):
        return context


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
@pytest.mark.parametrize("steps", [1, 10, 100, 1000])
def test_schedules_go_from_signal_to_noise(schedule, steps):
    alphas = alphas_of(betas(steps, schedule))
    assert torch.all((alphas > 0) & (alphas < 1))
    assert torch.all(alphas.diff() < 0)
    if steps >= 100:
        assert alphas[0] > 0.99
        assert alphas[-1] < 1e-4


def test_linear_by_hand():
    assert betas(100, "linear")[0] == pytest.approx(0.001)
    assert betas(100, "linear")[-1] == pytest.approx(0.2)
    assert alphas_of(torch.tensor([0.1, 0.2], dtype=torch.float64)).tolist() == pytest.approx([0.9, 0.72])


def test_times_are_evenly_spaced_and_start_in_noise():
    diffusion = Diffusion(100)
    assert diffusion.times(100) == list(range(99, -1, -1))
    assert diffusion.times(4) == [99, 74, 49, 24]
    assert diffusion.times(1) == [99]
    assert diffusion.times(50, strided=False)[0] == 99
    assert Diffusion(100, compat=True).times(50, strided=False) == list(range(49, -1, -1))
    for wrong in (0, 101):
        with pytest.raises(ValueError, match=f"{wrong} steps of sampling, expected 1 to 100"):
            diffusion.times(wrong)


@pytest.mark.parametrize("objective", ["x0", "noise"])
def test_noise_and_latent_tell_each_other(objective):
    diffusion = Diffusion(50, objective=objective)
    torch.manual_seed(0)
    x0, noise, t = torch.randn(6, 3), torch.randn(6, 3), torch.tensor([0, 1, 5, 20, 40, 45])
    x = diffusion.noised(x0, t, noise)
    torch.testing.assert_close(diffusion.x0_of(x0 if objective == "x0" else noise, x, t), x0, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("eta", [0.0, 1.0])
@pytest.mark.parametrize("steps", [1, 7, 50])
def test_whoever_knows_arrives(eta, steps):
    wanted = torch.tensor([[1.0, -2.0, 0.5], [0.0, 3.0, 3.0]])
    found = Diffusion(50).sample(Knows(), wanted, torch.randn(2, 3), steps, eta=eta)
    assert torch.equal(found, wanted)


def test_guidance_mixes_with_what_is_said_of_nothing():
    wanted = torch.ones(2, 3)
    for guidance, expected in ((1.0, 1.0), (0.8, 0.8 + 0.2 * 7), (0.0, 7.0), (1.5, 1.5 - 0.5 * 7)):
        found = Diffusion(10).sample(Knows(), wanted, torch.randn(2, 3), 5, guidance)
        torch.testing.assert_close(found, torch.full((2, 3), expected))
    assert Diffusion(10).sample(Knows(), None, torch.randn(4, 3), 5).eq(7).all()


def test_without_noise_the_start_decides_and_with_it_the_generator():
    torch.manual_seed(0)
    denoiser = Denoiser(3, 2, 8, 1)
    nn.init.normal_(denoiser.output.weight)
    start, context, diffusion = torch.randn(4, 3), torch.randn(4, 2), Diffusion(20)

    def sample(eta, seed):
        return diffusion.sample(denoiser, context, start, 10, 1.0, eta, torch.Generator().manual_seed(seed))

    assert torch.equal(sample(0.0, 1), sample(0.0, 2))
    assert torch.equal(sample(1.0, 1), sample(1.0, 1))
    assert not torch.equal(sample(1.0, 1), sample(1.0, 2))


def test_loss_by_hand():
    """Whoever says 1 of latents that are 0 is wrong by 1; as noise of 0 likewise, but not as the latent that follows."""
    zeros, ones, t = torch.zeros(4, 3), torch.ones(4, 3), torch.tensor([0, 3, 6, 9])
    nobody = torch.zeros(4, dtype=torch.bool)
    assert Diffusion(10).loss(Knows(), zeros, ones, t, zeros, nobody).item() == 1.0
    assert Diffusion(10, objective="noise").loss(Knows(), zeros, ones, t, zeros, nobody).item() == 1.0
    released = Diffusion(10, objective="noise", compat=True)
    expected = (1 / released.alphas[t] - 1).mean().item()
    assert released.loss(Knows(), zeros, ones, t, zeros, nobody).item() == pytest.approx(expected)


def test_dropped_conditions_are_the_embedding_of_nothing():
    given = torch.arange(6.0).view(2, 3)
    assert condition(Knows(), given, 2, torch.tensor([False, True])).tolist() == [[0, 1, 2], [7, 7, 7]]
    drop = Diffusion(10, drop=1.0)
    assert drop.loss(Knows(), torch.zeros(2, 3), given).item() == 49.0


def test_gradients_reach_all_of_a_denoiser_and_start_from_zero():
    torch.manual_seed(0)
    denoiser = Denoiser(3, 2, 16, 2)
    assert denoiser(torch.randn(5, 3), torch.arange(5), torch.randn(5, 2)).eq(0).all()
    nn.init.normal_(denoiser.output.weight, std=0.1)
    Diffusion(10, drop=0.5).loss(denoiser, torch.randn(64, 3), torch.randn(64, 2)).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in denoiser.parameters())


def test_bf16():
    torch.manual_seed(0)
    denoiser = Denoiser(3, 2, 16, 2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = Diffusion(10).loss(denoiser, torch.randn(64, 3), torch.randn(64, 2))
        sample = Diffusion(10).sample(denoiser, torch.randn(4, 2), torch.randn(4, 3), 5, 0.8)
    assert loss.dtype == sample.dtype == torch.float32
    assert math.isfinite(loss.item())


@pytest.mark.slow
def test_it_learns_two_points():
    """A condition of ±1 leads to ±(1, 2); without one, to either."""
    torch.manual_seed(0)
    denoiser, diffusion = Denoiser(2, 1, 64, 3), Diffusion(50, drop=0.2)
    optimizer = torch.optim.AdamW(denoiser.parameters(), lr=2e-3)
    # At a constant rate the last steps decide which point wins: 50 to 81 % at the one of +1 over six seeds; so 46 to 53.
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.02, 600)
    for _ in range(600):
        context = torch.randint(0, 2, (128, 1)) * 2.0 - 1
        loss = diffusion.loss(denoiser, context * torch.tensor([1.0, 2.0]), context)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    context = torch.tensor([[1.0], [-1.0]]).repeat(20, 1)
    found = diffusion.sample(denoiser, context, torch.randn(40, 2), 25)
    assert (found - context * torch.tensor([1.0, 2.0])).abs().max() < 0.3
    free = diffusion.sample(denoiser, None, torch.randn(100, 2), 25)
    assert 0.2 < (free[:, 0] > 0).float().mean() < 0.8
    assert (free.abs() - torch.tensor([1.0, 2.0])).abs().median() < 0.3

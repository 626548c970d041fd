"""Gaussian diffusion of vectors: a schedule of noise, a loss, and the way back (Ho et al. 2020; Song et al. 2021)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from molfusion.nn.denoiser import Denoiser
from molfusion.nn.precision import float32_island

Schedule = Literal["linear", "cosine"]
Objective = Literal["x0", "noise"]


class Step(NamedTuple):
    """One step of the way back."""

    t: int
    x: Tensor  # [B, D] what the denoiser saw
    x0: Tensor  # [B, D] what it took it for
    after: Tensor  # [B, D] where that leads


class Diffusion(nn.Module):
    """Noise on latents, and a denoiser's loss under it.

    Args:
        steps: T, from clean (0) to noise (T - 1).
        schedule: `linear` in β, from 0.1 / T to 20 / T, or `cosine` (Nichol & Dhariwal 2021).
        objective: what the denoiser predicts.
        drop: share of conditions that training withholds, for guidance.
        compat: as 3M-Diffusion: the loss of a predicted noise is that of the latent that follows from it, and without a
            subsequence sampling starts in the middle of the schedule.
    """

    alphas: Tensor  # [T] float32: ᾱ, the share of variance that is still signal

    def __init__(
        self,
        steps: int = 100,
        schedule: Schedule = "linear",
        objective: Objective = "x0",
        drop: float = 0.1,
        compat: bool = False,
    ) -> None:
        super().__init__()
        if not steps >= 1:
            raise ValueError(f"steps is {steps}, expected at least 1")
        self.steps, self.objective, self.drop, self.compat = steps, objective, drop, compat
        self.register_buffer("alphas", alphas_of(betas(steps, schedule)), persistent=False)

    # -- training ------------------------------------------------------------------------------------

    def loss(
        self,
        denoiser: Denoiser,
        latent: Tensor,
        context: Tensor | None,
        t: Tensor | None = None,
        noise: Tensor | None = None,
        dropped: Tensor | None = None,
    ) -> Tensor:
        """Mean squared error over [B, D].

        Args:
            denoiser: trained.
            latent: [B, D] clean.
            context: [B, C]; None: without condition.
            t: [B] steps; drawn by default, as are the next two.
            noise: [B, D].
            dropped: [B] bool, whose condition is withheld.
        """
        rows = len(latent)
        t = torch.randint(self.steps, (rows,), device=latent.device) if t is None else t
        noise = torch.randn_like(latent) if noise is None else noise
        if dropped is None:
            dropped = torch.rand(rows, device=latent.device) < self.drop
        x = self.noised(latent, t, noise)
        out = denoiser(x, t, condition(denoiser, context, rows, dropped)).float()
        with float32_island(out):
            if self.objective == "x0" or self.compat:
                return F.mse_loss(self.x0_of(out, x, t), latent)
            return F.mse_loss(out, noise)

    def noised(self, latent: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """√ᾱ x + √(1 - ᾱ) ε, [B, D]."""
        a = self.alphas[t][:, None]
        return a.sqrt() * latent + (1 - a).sqrt() * noise

    def x0_of(self, out: Tensor, x: Tensor, t: Tensor) -> Tensor:
        """The clean latent that a prediction stands for."""
        if self.objective == "x0":
            return out
        a = self.alphas[t][:, None]
        return (1 / a).sqrt() * x - (1 / a - 1).sqrt() * out

    # -- sampling ------------------------------------------------------------------------------------

    def times(self, steps: int, strided: bool = True) -> list[int]:
        """The steps of the way back, from T - 1 down, evenly spaced.

        Raises:
            ValueError: more than there are, or none.
        """
        if not 1 <= steps <= self.steps:
            raise ValueError(f"{steps} steps of sampling, expected 1 to {self.steps}")
        if self.compat and not strided:
            return list(range(steps - 1, -1, -1))
        spaced = torch.linspace(-1, self.steps - 1, steps + 1).int().tolist()
        return spaced[:0:-1]

    @torch.no_grad()
    def sample(
        self,
        denoiser: Denoiser,
        context: Tensor | None,
        start: Tensor,
        steps: int = 50,
        guidance: float = 1.0,
        eta: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Clean latents [B, D] from noise `start` [B, D]; the arguments are those of `walk`."""
        x = start
        for step in self.walk(denoiser, context, start, steps, guidance, eta, generator):
            x = step.after
        return x

    def walk(
        self,
        denoiser: Denoiser,
        context: Tensor | None,
        start: Tensor,
        steps: int = 50,
        guidance: float = 1.0,
        eta: float = 1.0,
        generator: torch.Generator | None = None,
        noises: Iterator[Tensor] | None = None,
    ) -> Iterator[Step]:
        """The way back, step by step.

        Args:
            denoiser: trained.
            context: [B, C]; None: without condition.
            start: [B, D] standard normal.
            steps: of the T, evenly spaced.
            guidance: w in w · conditional + (1 - w) · unconditional; 1: the condition alone, 3M-Diffusion: 0.8.
            eta: 1: ancestral sampling, 0: DDIM, which adds no noise.
            generator: of the noise.
            noises: instead of drawing it.
        """
        x, rows = start, len(start)
        given = condition(denoiser, context, rows)
        guided = context is not None and guidance != 1.0
        both = torch.cat([given, condition(denoiser, None, rows)]) if guided else given
        times = self.times(steps, strided=context is not None)
        for now, then in zip(times, [*times[1:], -1], strict=True):
            t = torch.full((1,), now, device=x.device)
            out = denoiser(torch.cat([x, x]) if guided else x, t, both).float()
            x0 = self.x0_of(out, torch.cat([x, x]) if guided else x, t)
            if guided:
                x0 = guidance * x0[:rows] + (1 - guidance) * x0[rows:]
            if then < 0:
                yield Step(now, x, x0, x0)
                return
            noise = next(noises) if noises is not None else _normal(x, generator)
            after = self._next(x, x0, self.alphas[now], self.alphas[then], eta, noise)
            yield Step(now, x, x0, after)
            x = after

    def _next(self, x: Tensor, x0: Tensor, a: Tensor, after: Tensor, eta: float, noise: Tensor) -> Tensor:
        """From ᾱ to the greater ᾱ of the next step (Song et al. 2021, eq. 12 and 16)."""
        towards = ((1 / a).sqrt() * x - x0) / (1 / a - 1).sqrt()
        sigma = eta * ((1 - a / after) * (1 - after) / (1 - a)).sqrt()
        return x0 * after.sqrt() + (1 - after - sigma**2).sqrt() * towards + sigma * noise


def condition(denoiser: Denoiser, context: Tensor | None, rows: int, dropped: Tensor | None = None) -> Tensor:
    """[B, C]: the context, and the embedding of nothing where there is none or it is `dropped` [B]."""
    nothing = denoiser.nothing.weight.expand(rows, -1)
    if context is None:
        return nothing
    return context if dropped is None else torch.where(dropped[:, None], nothing, context.to(nothing.dtype))


def betas(steps: int, schedule: Schedule) -> Tensor:
    """Variance added at each step: [T] float64."""
    if schedule == "linear":
        return torch.linspace(0.1 / steps, 20 / steps, steps, dtype=torch.float64).clamp(max=0.999)
    t = torch.linspace(0, 1, steps + 1, dtype=torch.float64)
    signal = torch.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2
    return (1 - signal[1:] / signal[:-1]).clamp(0, 0.999)


def alphas_of(beta: Tensor) -> Tensor:
    """ᾱ of the steps: [T] float32."""
    return torch.cumprod(1 - beta, 0).float()


def _normal(like: Tensor, generator: torch.Generator | None) -> Tensor:
    """Standard normal numbers; a generator on the CPU gives every device the same ones."""
    device = generator.device if generator is not None else like.device
    return torch.randn(like.shape, generator=generator, device=device).to(like.device)

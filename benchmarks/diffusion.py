"""Latent diffusion at its published size: a training step, and 50 steps of sampling for 64 texts."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmarks import plain
from benchmarks.table import Row, Table, timed
from molfusion.decoders import SelfiesDecoder
from molfusion.nn.denoiser import Denoiser
from molfusion.nn.diffusion import Diffusion
from molfusion.nn.ema import Average

LATENT, CONTEXT, TEXTS, STEPS = 24, 256, 64, 50


def table(quick: bool) -> Table:
    repeats = 3 if quick else 15
    torch.manual_seed(0)
    denoiser, diffusion = Denoiser(LATENT, CONTEXT), Diffusion()
    nn.init.normal_(denoiser.output.weight, std=0.05)
    average = Average(denoiser)
    context, start = torch.randn(TEXTS, CONTEXT), torch.randn(TEXTS, LATENT)
    noises = torch.randn(STEPS, TEXTS, LATENT)
    rows = [_training(denoiser, diffusion, average, context, repeats)]
    for guidance in (1.0, 0.8):
        ours, theirs = [], []
        for _ in range(repeats):
            mine, a = timed(lambda w=guidance: _ours(denoiser, diffusion, context, start, noises, w), 1)
            usual, b = timed(lambda w=guidance: plain.diffusion_sample(denoiser, context, start, noises, w), 1)
            if (a - b).abs().max() > 1e-3:
                raise ValueError(f"guidance {guidance}: the two ways of sampling differ by {(a - b).abs().max():.2g}")
            ours.append(mine)
            theirs.append(usual)
        rows.append(Row(f"{STEPS} steps, {TEXTS} texts, guidance {guidance}", ours, theirs))
    rows.append(_decoding(repeats))
    count = sum(p.numel() for p in denoiser.parameters())
    about = f"latents of {LATENT}, texts of {CONTEXT}, denoiser of 8 × 256 ({count:,} parameters), float32"
    notes = "plain asks the denoiser twice a step where guidance is not 1, and for the time of every row; random weights."
    return Table(about, rows, notes)


@torch.no_grad()
def _ours(denoiser: Denoiser, diffusion: Diffusion, context: Tensor, start: Tensor, noises: Tensor, w: float) -> Tensor:
    *_, last = diffusion.walk(denoiser, context, start, STEPS, w, noises=iter(noises[1:]))
    return last.after


def _training(denoiser: Denoiser, diffusion: Diffusion, average: Average[Denoiser], context: Tensor, repeats: int) -> Row:
    optimizer = torch.optim.AdamW(denoiser.parameters(), lr=0.0)
    latent = torch.randn(TEXTS, LATENT)

    def step() -> None:
        optimizer.zero_grad()
        diffusion.loss(denoiser, latent, context).backward()
        nn.utils.clip_grad_norm_(denoiser.parameters(), 1.0)
        optimizer.step()
        average.update(denoiser)

    step()
    return Row(f"training step with its average, batch {TEXTS}", [timed(step, 1)[0] for _ in range(repeats)])


def _decoding(repeats: int) -> Row:
    torch.manual_seed(0)
    decoder, latent = SelfiesDecoder(LATENT, length=60).eval(), torch.randn(TEXTS, LATENT)
    times = [timed(lambda: decoder.decode(latent), 1)[0] for _ in range(min(repeats, 5))]
    return Row(f"{TEXTS} latents to SMILES by way of SELFIES", times)

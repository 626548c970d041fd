"""A molecule to one latent and back (3M-Diffusion §3.2: a variational autoencoder on the aligned encoder)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from molfusion.batch import MoleculeBatch, Tokens
from molfusion.decoders.base import LatentDecoder
from molfusion.encoders.base import Encoder, NotApplicable, Objective, merge_views
from molfusion.encoders.projection import Projection
from molfusion.nn.pooling import masked_mean
from molfusion.nn.precision import float32_island


class Posterior(NamedTuple):
    """A normal distribution of each molecule's latent."""

    mean: Tensor  # [B, D] float32
    log_variance: Tensor  # [B, D] float32, at most 0

    def sample(self) -> Tensor:
        """One draw, [B, D]."""
        return self.mean + torch.exp(self.log_variance / 2) * torch.randn_like(self.mean)

    def divergence(self) -> Tensor:
        """From the standard normal: [] mean over molecules, in nats."""
        each = 1 + self.log_variance - self.mean.square() - self.log_variance.exp()
        return -0.5 * each.sum(1).mean()


class Autoencoder(Encoder):
    """Any encoder, its tokens' mean to the latent of a decoder. What others see is one token: the latent's mean.

    log σ² = -|·|, so that no latent is wider than the prior (as released).

    Args:
        encoder: reads the molecule; `Frozen` around it keeps an aligned one as it is.
        decoder: `hier` or `selfies`; its `dim` is the latent's width.
        hidden: width between tokens and latent.
        compat: as released, the latent that others see skips the layer norm in front of the encoder's projection, which
            training applies: diffusion then learns latents that the decoder never saw. Needs a normed `Projection`.
    """

    def __init__(self, encoder: Encoder, decoder: LatentDecoder, hidden: int = 250, compat: bool = False) -> None:
        super().__init__()
        self.encoder, self.decoder, self.compat = encoder, decoder, compat
        self.dim, self.views = decoder.dim, encoder.views
        if compat and not (isinstance(encoder, Projection) and encoder.norm is not None):
            raise NotApplicable(f"compat: needs a Projection with `norm: true` as its encoder, not {type(encoder).__name__}")
        self.hidden = nn.Linear(encoder.dim, hidden)
        self.mean = nn.Linear(hidden, self.dim)
        self.spread = nn.Linear(hidden, self.dim)

    def forward(self, batch: MoleculeBatch) -> Tokens:
        """The latent's mean as one token: [B, 1, D]."""
        x = self.shown(batch).mean.unsqueeze(1)
        return Tokens(x, torch.ones(x.shape[:2], dtype=torch.bool, device=x.device))

    def shown(self, batch: MoleculeBatch) -> Posterior:
        """The distribution that others see: that of training, but under `compat`."""
        return self.posterior(batch, normed=not self.compat)

    def posterior(self, batch: MoleculeBatch, normed: bool = True) -> Posterior:
        """The distribution of each molecule's latent; `normed` False: see `compat`."""
        if normed:
            tokens = self.encoder(batch)
        else:
            assert isinstance(self.encoder, Projection)
            tokens = self.encoder.unnormed(batch)
        return self.of_vector(masked_mean(tokens.x, tokens.mask))

    def of_vector(self, x: Tensor) -> Posterior:
        """From the encoder's mean token [B, E]."""
        h = self.hidden(x)
        return Posterior(self.mean(h).float(), -self.spread(h).float().abs())

    def decode(self, latent: Tensor) -> list[str | None]:
        """Molecules of latents [B, D]; None where none came out."""
        return self.decoder.decode(latent)

    @property
    def blocks(self) -> list[nn.Module]:
        return [*self.encoder.blocks, *self.decoder.blocks]


class Autoencoding(Objective):
    """Trains an autoencoder. Losses, in nats a molecule: `reconstruction` and `kl`, whose published weight is 0.1.

    Args:
        encoder: what is trained, and exported with its decoder.
    """

    encoder: Autoencoder

    def __init__(self, encoder: Autoencoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.views = merge_views(encoder, encoder.decoder)

    def losses(self, batch: MoleculeBatch) -> dict[str, Tensor]:
        posterior = self.encoder.posterior(batch)
        with float32_island(posterior.mean):
            latent, divergence = posterior.sample(), posterior.divergence()
        return {"reconstruction": self.encoder.decoder.reconstruction(latent, batch), "kl": divergence}

    def reconstruct(self, batch: MoleculeBatch) -> list[str | None]:
        """What the latent's mean decodes to, a molecule."""
        return self.encoder.decode(self.encoder(batch).x.squeeze(1))

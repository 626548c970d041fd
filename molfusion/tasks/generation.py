"""Make the molecule that a text describes: diffusion of latents (3M-Diffusion §3.3)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor

from molfusion.batch import MoleculeBatch, Record
from molfusion.decoders.base import LatentDecoder, Stop
from molfusion.encoders.base import Encoder, Frozen, NotApplicable, merge_views
from molfusion.metrics.generation import Asked, inchikeys, scores
from molfusion.nn.denoiser import Denoiser
from molfusion.nn.diffusion import Diffusion
from molfusion.nn.ema import Average
from molfusion.nn.pooling import masked_mean
from molfusion.nn.standard import Standard
from molfusion.tasks.base import Task
from molfusion.tasks.needs import Needs
from molfusion.tasks.schedule import Schedule
from molfusion.views.base import View, ViewError
from molfusion.views.batches import batch_of

_DRAWS = 4  # of the noise in validation: a single one would leave the loss to chance


class Generation(Task):
    """Diffusion of a frozen encoder's latents on the condition of a text, and molecules out of them.

    While it trains, `val/score` is minus the loss of the averaged denoiser, so that neither RDKit nor a decoder is asked.
    Afterwards (`validate`, `test`, and the last pass of `fit`) molecules are generated, and `score` is their mean MACCS
    similarity with what was described.
    """

    needs: Needs = "texts"  # without a `text` encoder nothing
    validates_in_full = False

    def __init__(
        self,
        encoder: Encoder,
        text: Encoder | None = None,
        decoder: LatentDecoder | None = None,
        judge: Encoder | None = None,
        diffusion: Diffusion | None = None,
        dim: int = 256,
        depth: int = 8,
        normalise: bool = True,
        sampled: bool = False,
        samples: int = 5,
        steps: int = 50,
        guidance: float = 1.0,
        eta: float = 1.0,
        optimizer: OptimizerCallable = torch.optim.AdamW,
        schedule: Schedule | None = None,
        start: Path | None = None,
    ) -> None:
        """Latent diffusion.

        Args:
            encoder: makes the latent, and is frozen here: an `Autoencoder`, or `CachedTokens` of one.
            text: makes the condition; `Frozen` around an aligned one, or `CachedTokens` of it. None: unconditional.
            decoder: of the latents; by default the autoencoder's own. Without one nothing is generated.
            judge: a molecule encoder aligned with `text`: says how well a molecule fits a prompt.
            diffusion: schedule of the noise and what is predicted.
            dim: width of the denoiser.
            depth: its layers.
            normalise: latents to mean 0 and scale 1; off as released.
            sampled: train on draws of the latent instead of its mean; on as released.
            samples: molecules a prompt, in validation and test.
            steps: of sampling.
            guidance: in sampling; 1 is the condition alone, as released 0.8.
            eta: 1: ancestral sampling, 0: DDIM.
            optimizer: given the parameters that train.
            schedule: of its learning rate.
            start: a checkpoint of the same task to start from.
        """
        super().__init__(optimizer, schedule, start)
        self.encoder = encoder if isinstance(encoder, Frozen) else Frozen(encoder)
        self._wrapped = self.encoder is not encoder
        self.needs = "texts" if text is not None else ""
        self.text, self.judge = text, None if judge is None else Frozen(judge)
        inner = inside(encoder)
        if sampled and (encoder.views != inner.views or not hasattr(inner, "shown")):  # cached, or has none
            given = f"{type(encoder).__name__} of {type(inner).__name__}"
            raise NotApplicable(f"sampled: needs an Autoencoder that is asked anew, not {given}")
        self.decoder = decoder
        if decoder is not None and decoder.dim != encoder.dim:
            raise NotApplicable(f"the decoder reads latents of {decoder.dim}, the encoder makes them of {encoder.dim}")
        if judge is not None and (text is None or judge.dim != text.dim):
            raise NotApplicable("judge: needs a `text` encoder of the same space, such as the two towers that Retrieval exports")
        self.views = merge_views(self.encoder, text)
        self.diffusion = diffusion or Diffusion()
        self.denoiser = Denoiser(encoder.dim, text.dim if text is not None else 1, dim, depth)
        self.average = Average(self.denoiser)
        self.standard = Standard(encoder.dim) if normalise else None
        self.sampled, self.samples, self.steps, self.guidance, self.eta = sampled, samples, steps, guidance, eta

    # -- training ------------------------------------------------------------------------------------

    def losses(self, batch: MoleculeBatch) -> dict[str, Tensor]:
        latent = self.latent(batch)
        if self.standard is not None:
            if self.training:
                self.standard.learn(latent)
            latent = self.standard(latent)
        return {"denoising": self.diffusion.loss(self.denoiser, latent, self.condition(batch))}

    @torch.no_grad()
    def latent(self, batch: MoleculeBatch) -> Tensor:
        """[B, D] float32."""
        if self.sampled and self.training:
            drawn: Tensor = inside(self.encoder).shown(batch).sample()  # type: ignore[operator]
            return drawn
        return masked_mean(*self.encoder(batch)).float()

    def condition(self, batch: MoleculeBatch) -> Tensor | None:
        """[B, C], or None."""
        return None if self.text is None else masked_mean(*self.text(batch))

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        super().optimizer_step(*args, **kwargs)
        self.average.update(self.denoiser)

    # -- validation and test -------------------------------------------------------------------------

    def observe(self, batch: MoleculeBatch) -> dict[str, Any]:
        with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
            torch.manual_seed(len(self._observed))  # the same noise at every validation, and training's stream untouched
            latent, context = self.latent(batch), self.condition(batch)
            clean = latent if self.standard is None else self.standard(latent)
            many = None if context is None else context.repeat(_DRAWS, 1)
            loss = self.diffusion.loss(self.average.module, clean.repeat(_DRAWS, 1), many)
        seen: dict[str, Any] = {"size": len(batch), "loss": loss.item(), "asked": [], "prompts": {}}
        if self._generates():
            rows = [i for i, scope in enumerate(batch.scopes) if scope == "all"]
            made = self.generate(None if context is None else context[rows], len(rows), self.samples, len(self._observed))
            seen["asked"] = [Asked(batch.ids[i], batch.groups[i], batch.smiles[i], s) for i, s in zip(rows, made, strict=True)]
            seen["prompts"] = {batch.ids[i]: batch.texts[i] for i in rows}
        return seen

    def _generates(self) -> bool:
        return self.samples > 0 and self.trainer.state.fn != "fit" and self.way_back is not None

    def evaluate(self, observed: list[dict[str, Any]], split: str) -> tuple[dict[str, float], list[dict[str, Any]]]:
        total = sum(batch["size"] for batch in observed)
        loss = sum(batch["loss"] * batch["size"] for batch in observed) / total
        asked = {a.id: a for batch in observed for a in batch["asked"]}  # ranks repeat one to keep step
        if not asked:
            return {"loss": loss, "score": -loss}, []
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        metrics, rows = scores(list(asked.values()), inchikeys([r.smiles for r in data.records["train"]]))
        prompts = {key: text for batch in observed for key, text in batch["prompts"].items()}
        return {"loss": loss, **metrics}, [{**row, "prompt": prompts[row["id"]]} for row in rows]

    def exports(self) -> dict[str, Encoder]:
        given = self.encoder.encoder if self._wrapped else self.encoder
        return {"encoder": given} | ({} if self.text is None else {"text": self.text})

    def inputs(self) -> frozenset[View]:
        """The description: here the molecule is the answer."""
        return frozenset() if self.text is None else self.text.views

    # -- sampling ------------------------------------------------------------------------------------

    @property
    def way_back(self) -> LatentDecoder | None:
        """The decoder of the latents."""
        own = getattr(inside(self.encoder), "decoder", None)
        return self.decoder or (own if isinstance(own, LatentDecoder) else None)

    def draw(self, context: Tensor | None, rows: int, seed: int = 0) -> Tensor:
        """Latents [rows, D] by the averaged denoiser, in the encoder's own scale."""
        generator = torch.Generator().manual_seed(seed)
        start = torch.randn(rows, self.encoder.dim, generator=generator).to(self.device)
        latent = self.diffusion.sample(
            self.average.module, context, start, self.steps, self.guidance, self.eta, generator
        )
        return latent if self.standard is None else self.standard.back(latent)

    @torch.no_grad()
    def generate(
        self, context: Tensor | None, rows: int, samples: int, seed: int = 0, stop: Stop | None = None
    ) -> list[list[str | None]]:
        """Molecules for each of `rows` conditions [rows, C]; None where none came out, or not before `stop` said so.

        Raises:
            NotApplicable: there is no decoder.
        """
        decoder = self.way_back
        if decoder is None:
            name = type(inside(self.encoder)).__name__
            raise NotApplicable(f"{name} has no way back to molecules: give Generation a `decoder`")
        many = None if context is None else context.repeat_interleave(samples, 0)
        made = decoder.decode(self.draw(many, rows * samples, seed), stop)
        return [made[i * samples : (i + 1) * samples] for i in range(rows)]

    @torch.no_grad()
    def prompted(self, texts: Sequence[str]) -> Tensor | None:
        """The condition [B, C] of texts that a user typed; None where the model takes none."""
        if self.text is None:
            return None
        text = inside(self.text)
        records = [Record(str(i), "", "", text=clean_text(t)) for i, t in enumerate(texts)]
        return masked_mean(*text(batch_of(records, text.views).to(self.device)))

    @torch.no_grad()
    def fits(self, context: Tensor, molecules: Sequence[str]) -> list[float | None]:
        """Cosine of each molecule with one condition [C] in the aligned space; None where the judge cannot read it."""
        if self.judge is None:
            return [None] * len(molecules)
        found: list[float | None] = []
        for smiles in molecules:
            try:
                batch = batch_of([Record("", smiles, smiles)], self.judge.views).to(self.device)
            except ViewError:
                found.append(None)
                continue
            vector = masked_mean(*self.judge(batch))[0]
            found.append(float(torch.nn.functional.cosine_similarity(vector.float(), context.float(), dim=0)))
        return found


def inside(encoder: Encoder) -> Encoder:
    """What a frozen or cached encoder holds."""
    while isinstance(encoder, Frozen):
        encoder = encoder.encoder
    return encoder


def clean_text(text: str) -> str:
    """Without what is no text at all (lone surrogates, as undecodable bytes become on a command line)."""
    return text.encode("utf-8", "replace").decode("utf-8")

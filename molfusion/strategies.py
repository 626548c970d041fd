"""The papers by name: a task bound to its fusion with the paper's own objective."""

from __future__ import annotations

from pathlib import Path

import torch
from lightning.pytorch.cli import OptimizerCallable

from molfusion.decoders.hier import HierDecoder
from molfusion.encoders.autoencoder import Autoencoder
from molfusion.encoders.base import Encoder, Frozen
from molfusion.encoders.deepencoder import DeepEncoder
from molfusion.encoders.e3fp_tokens import E3FPTokens
from molfusion.encoders.gin import GIN
from molfusion.encoders.moleblend import MoleBlend
from molfusion.encoders.moleblend_pretraining import MoleBlendPretraining
from molfusion.encoders.projection import Projection
from molfusion.encoders.unimol import UniMol
from molfusion.fusion.cross_attention import CrossAttention
from molfusion.fusion.qformer import QFormer
from molfusion.language import Decoding, LanguageModel
from molfusion.nn.diffusion import Diffusion
from molfusion.tasks.captioning import Captioning
from molfusion.tasks.generation import Generation
from molfusion.tasks.optimizers import AdamWMatrices
from molfusion.tasks.pretraining import Pretraining
from molfusion.tasks.retrieval import Retrieval
from molfusion.tasks.schedule import Schedule, WarmupCosine


class QFormerProjection(Retrieval):
    """3D-MoLM, stage 1 (Li et al. 2024): frozen Uni-Mol → Q-Former, trained by contrasting, matching and captioning."""

    def __init__(
        self,
        encoder: Encoder | None = None,
        rerank: int = 64,
        optimizer: OptimizerCallable = torch.optim.AdamW,
        schedule: Schedule | None = None,
        start: Path | None = None,
    ) -> None:
        """The strategy.

        Args:
            encoder: a `QFormer`; by default the paper's, over a frozen Uni-Mol.
            rerank: of how many candidates the matching head has a say.
            optimizer: given the parameters that train.
            schedule: of its learning rate.
            start: a checkpoint of the same task to start from.
        """
        super().__init__(
            encoder or QFormer(Frozen(UniMol())), rerank=rerank, optimizer=optimizer, schedule=schedule, start=start
        )


class QFormerCaptioning(Captioning):
    """3D-MoLM, stages 2 and 3: the Q-Former's tokens in a language model's prompt, with the paper's way of writing answers."""

    def __init__(
        self,
        lm: LanguageModel,
        encoder: Encoder | None = None,
        decoding: Decoding | None = None,
        samples: int = 32,
        test_samples: int | None = None,
        shots: int = 0,
        tokenizer: str = "molfusion",
        truncation: int | None = 512,
        optimizer: OptimizerCallable = torch.optim.AdamW,
        schedule: Schedule | None = None,
        start: Path | None = None,
    ) -> None:
        """The strategy.

        Args:
            lm: Llama-2-7B in the paper.
            encoder: a `QFormer`, as stage 1 exports it; by default the paper's, over a frozen Uni-Mol.
            decoding: by default five beams, at least 32 and at most 128 tokens; stage 3 asks for at least 16.
            samples: of how many validation molecules a text is generated.
            test_samples: of how many test molecules; None: all.
            shots: examples from training before each question.
            tokenizer: whose pieces BLEU and METEOR count.
            truncation: pieces of a text that they look at.
            optimizer: given the parameters that train.
            schedule: of its learning rate.
            start: a checkpoint of the stage before, of the same language model.
        """
        super().__init__(
            encoder or QFormer(Frozen(UniMol())), lm, "linear",
            decoding or Decoding(128, 32, num_beams=5, length_penalty=0.8, repetition_penalty=1.2),
            samples, test_samples, shots, tokenizer=tokenizer, truncation=truncation,
            optimizer=optimizer, schedule=schedule, start=start,
        )  # fmt: skip


class RelationBlending(Pretraining):
    """MoleBLEND (Yu et al. 2024): tell each pair of atoms one of three relations, predict all of them, and the noise."""

    def __init__(
        self,
        encoder: MoleBlend | None = None,
        blend: tuple[float, float, float] = (0.2, 0.2, 0.6),
        noise: float = 0.2,
        weights: dict[str, float] | None = None,
        optimizer: OptimizerCallable = torch.optim.AdamW,
        schedule: Schedule | None = None,
        start: Path | None = None,
    ) -> None:
        """The strategy.

        Args:
            encoder: by default of the paper's size.
            blend: shares of spd, path and 3d among the pairs.
            noise: on the coordinates, Å.
            weights: of the losses; by default those of the published run.
            optimizer: given the parameters that train.
            schedule: of its learning rate.
            start: a checkpoint of the same task to start from.
        """
        objective = MoleBlendPretraining(encoder or MoleBlend(), blend, noise=noise)
        published = {"denoise": 6.0, "direction": 0.5, "spd": 0.1, "path": 0.1}
        super().__init__(objective, weights or published, optimizer, schedule, start)


class CrossAttentionFusion(Captioning):
    """DeepMoLM: image tokens that have read structure tokens, in a language model's prompt as they are (no connector).

    Stage 1 trains the fusion under a language model with `train: none`, stage 2 both.
    """

    def __init__(
        self,
        lm: LanguageModel,
        encoder: Encoder | None = None,
        decoding: Decoding | None = None,
        samples: int = 32,
        test_samples: int | None = None,
        tokenizer: str = "molfusion",
        truncation: int | None = None,
        optimizer: OptimizerCallable = torch.optim.AdamW,
        schedule: Schedule | None = None,
        start: Path | None = None,
    ) -> None:
        """The strategy.

        Args:
            lm: Qwen2-7B in the paper.
            encoder: a `CrossAttention` as wide as the language model; by default the paper's, over a frozen DeepEncoder.
            decoding: by default greedy, at most 1024 tokens.
            samples: of how many validation molecules a text is generated.
            test_samples: of how many test molecules; None: all.
            tokenizer: whose pieces BLEU and METEOR count.
            truncation: pieces of a text that they look at; the released evaluation counts all.
            optimizer: given the parameters that train.
            schedule: of its learning rate.
            start: a checkpoint of the stage before.
        """
        super().__init__(
            encoder or CrossAttention(Frozen(DeepEncoder()), E3FPTokens(), dim=lm.dim, layout=True), lm, "none",
            decoding or Decoding(1024), samples, test_samples, tokenizer=tokenizer, truncation=truncation,
            optimizer=optimizer, schedule=schedule, start=start,
        )  # fmt: skip


class LatentDiffusion(Generation):
    """3M-Diffusion, stage 3 (Zhu et al. 2024): latents of an autoencoder diffused on the condition of an aligned text."""

    def __init__(
        self,
        text: Encoder,
        encoder: Encoder | None = None,
        judge: Encoder | None = None,
        compat: bool = False,
        samples: int = 5,
        optimizer: OptimizerCallable = AdamWMatrices,
        schedule: Schedule | None = None,
        start: Path | None = None,
    ) -> None:
        """The strategy.

        Args:
            text: the aligned text tower, frozen.
            encoder: an `Autoencoder`; by default the paper's: GIN, and the hierarchical decoder with its latent of 24.
            judge: the aligned molecule tower, which says how well a molecule fits a prompt.
            compat: as released: latents are drawn, their scale is left as it is, and guidance is 0.8.
            samples: molecules a prompt, in validation and test.
            optimizer: given the parameters that train.
            schedule: of its learning rate; by default 1,000 steps of warm-up and a cosine to 0.
            start: a checkpoint of the same task to start from.
        """
        super().__init__(
            encoder or Autoencoder(Projection(GIN(compat=compat), norm=True), HierDecoder(compat=compat), compat=compat), text,
            judge=judge, diffusion=Diffusion(compat=compat), normalise=not compat, sampled=compat, samples=samples,
            guidance=0.8 if compat else 1.0, optimizer=optimizer,
            schedule=schedule or WarmupCosine(1000, 0.0, from_zero=True), start=start,
        )  # fmt: skip

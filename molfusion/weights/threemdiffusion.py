"""3M-Diffusion's three checkpoints: the towers of stage 1, the autoencoder `model.49`, the latent diffusion.

Buffers that follow from settings, copies of shared modules and parts that nothing calls are left out.
"""

from __future__ import annotations

import re

import torch
from torch import Tensor

from molfusion.weights import gin, hiervae
from molfusion.weights.keys import Converted, Rule, convert, under

# -- stage 1: two `Projection`s; `blip2qformer.` in front where Lightning wrote them --------------------------------

_STAGE1 = r"(?:blip2qformer\.)?"

GRAPH_TOWER_RULES = [
    *under(gin.RULES, rf"{_STAGE1}graph_encoder\.", "encoder."),
    Rule(rf"{_STAGE1}ln_graph\.(\w+)", r"norm.\1"),
    Rule(rf"{_STAGE1}graph_proj\.(\w+)", r"head.\1"),
    Rule(rf"{_STAGE1}(Qformer|text_proj|query_tokens|gtm_head)\b.*", None),
]

_BERT = rf"{_STAGE1}Qformer\.bert\."
TEXT_TOWER_RULES = [
    Rule(rf"{_BERT}.*(crossattention|_query)\..+", None),  # of the queries, which a text does not meet
    Rule(rf"{_BERT}embeddings\.position_ids", None),
    Rule(rf"{_BERT}(embeddings|encoder)\.(.+)", r"encoder.model.\1.\2"),
    Rule(rf"{_BERT}pooler\..+", None),
    Rule(rf"{_STAGE1}text_proj\.(\w+)", r"head.\1"),
    Rule(rf"{_STAGE1}(Qformer\.cls|graph_encoder|ln_graph|graph_proj|query_tokens|gtm_head)\b.*", None),
]
SCIBERT_WORDS = 31_090
_WORDS = "encoder.model.embeddings.word_embeddings.weight"


def graph_tower(published: dict[str, Tensor], source: str = "stage 1") -> Converted:
    """Of `Projection(GIN(compat=True), width=256, norm=True)`."""
    return convert(published, GRAPH_TOWER_RULES, source)


def text_tower(published: dict[str, Tensor], words: int | None = None, source: str = "stage 1") -> Converted:
    """Of `Projection(TextEncoder(…), width=256, pool="first")`: a BERT whose token types are silent, as theirs has none.

    Args:
        published: their state dict.
        words: rows of the word table to keep; theirs has one more than SciBERT's, for [DEC], which no text contains.
        source: for errors.
    """
    out = convert(published, TEXT_TOWER_RULES, source)
    table = out.state[_WORDS] = out.state[_WORDS][:words]
    out.state[_WORDS.replace("word_", "token_type_")] = torch.zeros(2, table.shape[1])
    return out


# -- stage 2: `Autoencoder(Projection(GIN), HierDecoder)` -----------------------------------------------------------

AUTOENCODER_RULES = [
    *under(gin.RULES, r"encoder\.", "encoder.encoder."),
    Rule(r"ln_graph\.(\w+)", r"encoder.norm.\1"),
    Rule(r"graph_proj\.(\w+)", r"encoder.head.\1"),
    Rule(r"new_graph_proj\.(\w+)", r"hidden.\1"),
    Rule(r"R_mean\.(\w+)", r"mean.\1"),
    Rule(r"R_var\.(\w+)", r"spread.\1"),
    Rule(r"new_text_proj\..+", None),
    Rule(r"decoder\.(rnn_cell|E_assm)\..+", None),  # copies of the motif level's
]


def autoencoder(
    published: dict[str, Tensor], decoder: list[Rule] = hiervae.IN_AUTOENCODER, source: str = "model.49"
) -> Converted:
    """Of `Autoencoder(Projection(GIN(compat=True), norm=True), decoder, compat=True)`.

    Args:
        published: their state dict.
        decoder: rules of its decoder, whole published keys to keys within ours.
        source: for errors.
    """
    inside = [rule if rule.ours is None else rule._replace(ours=f"decoder.{rule.ours}") for rule in decoder]
    return convert(published, [*AUTOENCODER_RULES, *inside], source)


# -- stage 3: `Denoiser` --------------------------------------------------------------------------------------------

_BUFFERS = (
    r"(betas|alphas_cumprod|alphas_cumprod_prev|(sqrt|log)_\w+|posterior_\w+|p2_loss_weight|latent_mean|latent_scale)"
)
_MODEL = r"diffusion_model\."
DENOISER_RULES = [
    Rule(rf"{_MODEL}time_mlp\.1\.(\w+)", r"time.0.\1"),
    Rule(rf"{_MODEL}time_mlp\.3\.(\w+)", r"time.2.\1"),
    Rule(rf"{_MODEL}time_pos_embed_mlp\.1\.(\w+)", r"time_in.\1"),
    Rule(rf"{_MODEL}input_proj\.(\w+)", r"input.\1"),
    Rule(rf"{_MODEL}encoder\.(\d+)\.(?:\d+\.)?(\w+)", r"layers.\1.\2"),
    Rule(rf"{_MODEL}norm\.(\w+)", r"norm.\1"),
    Rule(rf"{_MODEL}output_proj\.(\w+)", r"output.\1"),
    Rule(rf"{_MODEL}null_embedding\.weight", "nothing.weight"),
    Rule(rf"{_MODEL}context_proj\.(\w+)", None),  # nothing calls it
    Rule(_BUFFERS, None),
]


def denoiser(published: dict[str, Tensor], source: str = "diffusion") -> Converted:
    """Of `Denoiser`, from the whole of their diffusion; `averaged` picks what is sampled from out of a checkpoint."""
    return convert(published, DENOISER_RULES, source)


def averaged(checkpoint: dict[str, object], source: str = "diffusion") -> dict[str, Tensor]:
    """The averaged diffusion in `model-winoise100_train_decoder.pt` (step, model, decoder, opt, ema, scaler).

    Raises:
        ValueError: there is none.
    """
    held = checkpoint.get("ema")
    held = held if isinstance(held, dict) else {}
    kept = {re.sub(r"^ema_model\.", "", k): v for k, v in held.items() if k.startswith("ema_model.")}
    if not kept:
        raise ValueError(f"{source}: no `ema` with `ema_model.…`; it holds {', '.join(map(str, checkpoint))}")
    return kept


# -- stage 3 as a task: `Generation` of that autoencoder ------------------------------------------------------------

GENERATION_RULES = [
    *under(DENOISER_RULES, r"model\.", "denoiser."),
    *under(DENOISER_RULES, r"ema\.ema_model\.", "average.module."),
    Rule(r"ema\.step", "average.updates"),
    Rule(r"ema\.(initted|online_model\..+)", None),  # the second is `model` once more
    Rule(r"decoder\..+", None),  # the autoencoder's own, which this stage does not touch
    Rule(r"opt\..+|scaler\..+|step", None),
]


def generation(published: dict[str, Tensor], source: str = "diffusion") -> Converted:
    """Of `LatentDiffusion(compat=True)` but for its autoencoder and towers, from the whole checkpoint, section by section.

    Raises:
        ValueError: there is no average in it, or it was trained under another schedule or on normalised latents.
    """
    averaged({"ema": {k.removeprefix("ema."): v for k, v in published.items() if k.startswith("ema.")}}, source)
    out = convert(published, GENERATION_RULES, source)
    out.state["average.updates"] = out.state["average.updates"].reshape(1).float()
    _check_schedule(published, source)
    return out


def _check_schedule(published: dict[str, Tensor], source: str) -> None:
    """100 linear steps on latents as they are: the settings that no weight tells."""
    found = published["model.betas"].float()
    linear = torch.linspace(1e-3, 0.2, 100)
    if found.shape != linear.shape or not torch.allclose(found, linear, atol=1e-6):
        told = f"model.betas are {len(found)} numbers up to {found.max():.4g}"
        raise ValueError(f"{source}: {told}, expected 100 linear ones up to 0.2")
    mean, scale = published["model.latent_mean"], published["model.latent_scale"]
    if mean.float().abs().max() != 0 or scale.float().sub(1).abs().max() != 0:
        raise ValueError(f"{source}: it was trained on normalised latents (model.latent_scale), which is not supported")

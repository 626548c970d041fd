"""3M-Diffusion: names as in its checkpoints, as `state_dict_keys` of the specification lists them."""

import pytest
import torch
from torch import nn

from molfusion.encoders import GIN, Autoencoder, Projection, TextEncoder
from molfusion.nn.denoiser import Denoiser
from molfusion.weights import threemdiffusion as weights
from molfusion.weights.keys import Rule
from tests.weights import test_gin
from tests.weights.helpers import check_complete, check_round_trip, published

LAYERS = 2


def pair(ours, theirs):
    return {f"{ours}.{part}": f"{theirs}.{part}" for part in ("weight", "bias")}


def denoiser_names():
    out = {"nothing.weight": "diffusion_model.null_embedding.weight"}
    modules = {"time.0": "time_mlp.1", "time.2": "time_mlp.3", "time_in": "time_pos_embed_mlp.1", "input": "input_proj",
               "norm": "norm", "output": "output_proj"}  # fmt: skip
    modules |= {f"layers.{i}": f"encoder.{i}" for i in range(LAYERS)}
    for us, them in modules.items():
        out |= pair(us, f"diffusion_model.{them}")
    return out


UNUSED = ["diffusion_model.context_proj.weight", "diffusion_model.context_proj.bias", "betas", "alphas_cumprod",
          "alphas_cumprod_prev", "sqrt_alphas_cumprod", "sqrt_one_minus_alphas_cumprod",
          "log_one_minus_alphas_cumprod", "sqrt_recip_alphas_cumprod",
          "sqrt_recipm1_alphas_cumprod", "posterior_variance", "posterior_log_variance_clipped", "posterior_mean_coef1",
          "posterior_mean_coef2", "p2_loss_weight", "latent_mean", "latent_scale"]  # fmt: skip


def test_denoiser():
    check_round_trip(Denoiser(4, 3, 8, LAYERS), denoiser_names(), weights.DENOISER_RULES, UNUSED)
    check_complete(Denoiser(4, 3, 8, LAYERS), denoiser_names(), weights.DENOISER_RULES)


def test_what_is_sampled_from_is_the_average():
    state = published(Denoiser(4, 3, 8, LAYERS), denoiser_names())
    ema = {f"ema_model.{k}": v for k, v in state.items()} | {f"online_model.{k}": v * 2 for k, v in state.items()}
    checkpoint = {"step": 9, "model": state, "ema": ema | {"initted": torch.tensor(True), "step": torch.tensor(9)}}
    found = weights.averaged(checkpoint)
    assert found.keys() == state.keys()
    assert all(torch.equal(found[k], state[k]) for k in state)
    with pytest.raises(ValueError, match=r"no `ema`.*it holds step, model"):
        weights.averaged({"step": 9, "model": state})


def gin_names(ours, theirs):
    return {ours + us: theirs + them for us, them in test_gin.names().items()}


@pytest.mark.parametrize("prefix", ["", "blip2qformer."])
def test_graph_tower(prefix):
    model = Projection(GIN(dim=8, layers=2), 6, norm=True)
    names = gin_names("encoder.", f"{prefix}graph_encoder.")
    names |= pair("norm", f"{prefix}ln_graph") | pair("head", f"{prefix}graph_proj")
    others = ("Qformer.bert.encoder.layer.0.output.dense.weight", "text_proj.bias", "Qformer.cls.predictions.bias")
    extra = [f"{prefix}{k}" for k in others]
    check_round_trip(model, names, weights.GRAPH_TOWER_RULES, extra)
    check_complete(model, names, weights.GRAPH_TOWER_RULES)


@pytest.mark.parametrize("prefix", ["", "blip2qformer."])
def test_text_tower(prefix):
    model = Projection(TextEncoder(dim=8, layers=LAYERS, heads=2), 6, pool="first")
    bert = f"{prefix}Qformer.bert."
    silent = "encoder.model.embeddings.token_type_embeddings.weight"
    inner = [k for k in model.state_dict() if k.startswith("encoder.model.") and k != silent]
    names = {k: k.replace("encoder.model.", bert, 1) for k in inner}
    names |= pair("head", f"{prefix}text_proj")
    ours = model.state_dict()
    state = {theirs: torch.randn_like(ours[us]) for us, theirs in names.items()}
    words = f"{bert}embeddings.word_embeddings.weight"
    state[words] = torch.cat([state[words], torch.ones(1, 8)])  # [DEC]
    extra = [f"{bert}embeddings.position_ids", f"{bert}encoder.layer.0.crossattention.self.key.weight",
             f"{bert}encoder.layer.0.output_query.dense.bias", f"{bert}encoder.layer.1.intermediate_query.dense.bias",
             f"{prefix}Qformer.cls.predictions.bias", f"{prefix}ln_graph.weight", f"{prefix}graph_proj.weight"]  # fmt: skip
    made = weights.text_tower(state | {k: torch.zeros(1) for k in extra}, words=len(ours[names_of(words, names)]))
    assert sorted(made.left_out) == sorted(extra)
    model.load_state_dict(made.state)
    found = model.state_dict()
    assert not found[silent].any()
    for us, theirs in names.items():
        assert torch.equal(found[us], state[theirs][: len(found[us])]), us


def names_of(theirs, names):
    return next(us for us, them in names.items() if them == theirs)


class Decoder(nn.Linear):
    """Stands in for the hierarchical one, whose rules are its own."""

    def __init__(self):
        super().__init__(3, 2)
        self.dim, self.views = 4, frozenset()


def test_autoencoder():
    model = Autoencoder(Projection(GIN(dim=8, layers=2), 6, norm=True), Decoder(), hidden=5)  # type: ignore[arg-type]
    names = gin_names("encoder.encoder.", "encoder.")
    for us, them in {"encoder.norm": "ln_graph", "encoder.head": "graph_proj", "hidden": "new_graph_proj", "mean": "R_mean",
                     "spread": "R_var", "decoder": "decoder.topoNN.0"}.items():  # fmt: skip
        names |= pair(us, them)
    state = published(model, names)
    extra = ["new_text_proj.weight", "decoder.rnn_cell.W_i.0.weight", "decoder.E_assm.0.weight"]
    rules = [Rule(r"decoder\.topoNN\.0\.(\w+)", r"\1")]
    made = weights.autoencoder(state | {k: torch.zeros(1) for k in extra}, rules)
    assert sorted(made.left_out) == sorted(extra)
    model.load_state_dict(made.state)
    for us, theirs in names.items():
        assert torch.equal(model.state_dict()[us], state[theirs]), us
    with pytest.raises(ValueError, match=r"unknown keys, such as decoder.topoNN"):
        weights.autoencoder(state, [])


def test_sizes_are_the_published_ones():
    with torch.device("meta"):
        assert sum(p.numel() for p in Denoiser().parameters()) == 2_180_376  # 2,246,168 with the unused context_proj
        assert sum(p.numel() for p in GIN().parameters()) == 1_857_900

"""DeepSeek-OCR's image shard and DeepMoLM's projector: names as in their checkpoints."""

import pytest
import torch
from safetensors.torch import save_file

from molfusion.encoders import DeepEncoder, E3FPTokens
from molfusion.encoders.deepencoder import Global, Local
from molfusion.errors import MolfusionError
from molfusion.fusion import CrossAttention
from molfusion.views.e3fp import E3FPView
from molfusion.views.image import ImageView
from molfusion.weights import deepmolm, deepseek_ocr
from tests.weights.helpers import check_complete, check_round_trip, published

SAM = {
    "pos_embed": "pos_embed", "patch_embed.projection.weight": "patch_embed.proj.weight",
    "patch_embed.projection.bias": "patch_embed.proj.bias", "neck.conv1.weight": "neck.0.weight",
    "neck.layer_norm1.weight": "neck.1.weight", "neck.layer_norm1.bias": "neck.1.bias", "neck.conv2.weight": "neck.2.weight",
    "neck.layer_norm2.weight": "neck.3.weight", "neck.layer_norm2.bias": "neck.3.bias",
    "proj.conv1.weight": "net_2.weight", "proj.conv2.weight": "net_3.weight",
}  # fmt: skip
CLIP = {
    "cls": "embeddings.class_embedding", "positions": "embeddings.position_embedding.weight",
    "patch": "embeddings.patch_embedding.weight", "norm.weight": "pre_layrnorm.weight", "norm.bias": "pre_layrnorm.bias",
}  # fmt: skip
SAM_LAYER = {"layer_norm1": "norm1", "layer_norm2": "norm2", "attn.qkv": "attn.qkv", "attn.proj": "attn.proj",
             "mlp.lin1": "mlp.lin1", "mlp.lin2": "mlp.lin2"}  # fmt: skip
CLIP_LAYER = {
    "self_attn.in_proj_": "self_attn.qkv_proj.", "self_attn.out_proj.": "self_attn.out_proj.", "norm1.": "layer_norm1.",
    "norm2.": "layer_norm2.", "linear1.": "mlp.fc1.", "linear2.": "mlp.fc2.",
}  # fmt: skip


def encoder():
    return DeepEncoder(ImageView(16, 16, whole=16, tile=16), "off", Local(4, 2, 2, 4, 2, (1,), (4, 4, 4)), Global(2, 2, 8, 1))


def names(sam="model.sam_model.", clip="model.vision_model."):
    out = {f"sam.{ours}": sam + theirs for ours, theirs in SAM.items()}
    out |= {f"clip.{ours}": clip + theirs for ours, theirs in CLIP.items()}
    for i in range(2):
        for part in ("weight", "bias"):
            out |= {f"sam.layers.{i}.{o}.{part}": f"{sam}blocks.{i}.{t}.{part}" for o, t in SAM_LAYER.items()}
            out |= {f"clip.layers.{i}.{o}{part}": f"{clip}transformer.layers.{i}.{t}{part}" for o, t in CLIP_LAYER.items()}
        for axis in "hw":
            out[f"sam.layers.{i}.attn.rel_pos_{axis}"] = f"{sam}blocks.{i}.attn.rel_pos_{axis}"
    return out


REST = [
    "model.embed_tokens.weight", "model.layers.0.mlp.experts.3.up_proj.weight", "model.norm.weight", "lm_head.weight",
    "model.projector.layers.weight", "model.image_newline", "model.view_seperator", "model.vision_model.embeddings.position_ids",
]  # fmt: skip


def test_the_shard():
    check_round_trip(encoder(), names(), deepseek_ocr.RULES, REST)
    check_complete(encoder(), names(), deepseek_ocr.RULES)


def test_inside_deepmolm():
    prefixes = [f"vision_tower.vision_tower.{t}." for t in ("sam_model", "vision_model")]
    check_round_trip(encoder(), names(*prefixes), deepseek_ocr.RULES)


def test_an_unknown_key():
    with pytest.raises(ValueError, match=r"DeepSeek-OCR: 1 unknown keys, such as model\.qwen2_model"):
        deepseek_ocr.deep_encoder({"model.qwen2_model.x": torch.zeros(1)})


def fusion(kind="attention"):
    """Without its query, whose weights come from the other file."""
    context = E3FPTokens(8 if kind == "attention" else 2, shells=E3FPView(bits=6))
    made = CrossAttention(encoder(), context, 8, 2, kind=kind, layout=True)
    del made.query
    return made


ENDS = {"layout.newline": "image_newline", "layout.separator": "view_seperator"}
TABLE = {"context.table.weight": "molecule_embed.weight"}


def both(ours, theirs):
    return {f"{ours}.{part}": f"{theirs}.{part}" for part in ("weight", "bias")}


KINDS = {
    "attention": {
        **ENDS, **TABLE, **both("projection", "image_proj"), **both("layers.0.attention_norm", "cross_attn_norm"),
        **both("layers.0.up", "ffn.0"), **both("layers.0.down", "ffn.2"), **both("layers.0.ffn_norm", "ffn_norm"),
        **both("layers.0.attention.out_proj", "cross_attn.out_proj"),
        "layers.0.attention.in_proj_weight": "cross_attn.in_proj_weight",
        "layers.0.attention.in_proj_bias": "cross_attn.in_proj_bias",
    },
    "concat": {**ENDS, **TABLE, **both("mixer.0", "layers.0"), **both("mixer.2", "layers.2")},
    "linear": {**ENDS, **both("projection", "layers")},
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_projectors(kind):
    check_round_trip(fusion(kind), KINDS[kind], deepmolm.RULES)


def test_with_dropout_the_second_linear_has_another_number():
    state = published(fusion(), KINDS["attention"])
    state = {k.replace("ffn.2.", "ffn.3."): v for k, v in state.items()}
    fusion().load_state_dict(deepmolm.projector(state).state)


def test_the_folder(tmp_path):
    with pytest.raises(MolfusionError, match=r"expected one file of weights .* found none"):
        deepmolm.read_projector(tmp_path)
    (tmp_path / "mm_projector").mkdir()
    state = published(fusion(), KINDS["attention"])
    save_file(state, tmp_path / "mm_projector" / "model.safetensors")
    model = fusion()
    model.load_state_dict(deepmolm.read_projector(tmp_path).state)
    assert torch.equal(model.context.table.weight, state["molecule_embed.weight"])


@pytest.mark.parametrize(
    ("config", "width", "expected"),
    [({}, 3584, 8), ({"num_attention_heads": 28}, 3584, 28), ({"mm_projector_num_heads": 4, "num_attention_heads": 28}, 64, 4),
     ({}, 36, 4), ({"num_attention_heads": 5}, 48, 8), ({}, 7, 1)],
)  # fmt: skip
def test_heads(config, width, expected):
    assert deepmolm.heads(config, width) == expected

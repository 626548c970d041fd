"""DeepSeek-OCR: the image side (SAM and CLIP towers) of its one shard, which DeepMoLM loads as it is."""

from __future__ import annotations

from torch import Tensor

from molfusion.weights.keys import Converted, Rule, convert, under

SAM_RULES = [
    Rule(r"pos_embed", "pos_embed"),
    Rule(r"patch_embed\.proj\.(\w+)", r"patch_embed.projection.\1"),
    Rule(r"blocks\.(\d+)\.norm([12])\.(\w+)", r"layers.\1.layer_norm\2.\3"),
    Rule(r"blocks\.(\d+)\.(attn|mlp)\.([\w.]+)", r"layers.\1.\2.\3"),
    Rule(r"neck\.0\.(\w+)", r"neck.conv1.\1"),
    Rule(r"neck\.1\.(\w+)", r"neck.layer_norm1.\1"),
    Rule(r"neck\.2\.(\w+)", r"neck.conv2.\1"),
    Rule(r"neck\.3\.(\w+)", r"neck.layer_norm2.\1"),
    Rule(r"net_2\.(\w+)", r"proj.conv1.\1"),
    Rule(r"net_3\.(\w+)", r"proj.conv2.\1"),
]

_LAYER = r"transformer\.layers\.(\d+)\."

CLIP_RULES = [
    Rule(r"embeddings\.class_embedding", "cls"),
    Rule(r"embeddings\.position_embedding\.weight", "positions"),
    Rule(r"embeddings\.patch_embedding\.weight", "patch"),
    Rule(r"embeddings\.position_ids", None),
    Rule(r"pre_layrnorm\.(\w+)", r"norm.\1"),
    Rule(rf"{_LAYER}self_attn\.qkv_proj\.(\w+)", r"layers.\1.self_attn.in_proj_\2"),
    Rule(rf"{_LAYER}self_attn\.out_proj\.(\w+)", r"layers.\1.self_attn.out_proj.\2"),
    Rule(rf"{_LAYER}layer_norm([12])\.(\w+)", r"layers.\1.norm\2.\3"),
    Rule(rf"{_LAYER}mlp\.fc([12])\.(\w+)", r"layers.\1.linear\2.\3"),
]

# The whole shard, and the same towers inside DeepMoLM's model.
RULES = [
    *under(SAM_RULES, r"(?:model\.|vision_tower\.vision_tower\.)?sam_model\.", "sam."),
    *under(CLIP_RULES, r"(?:model\.|vision_tower\.vision_tower\.)?vision_model\.", "clip."),
    # Its language model, and what lies between.
    Rule(r"lm_head\..+", None),
    Rule(r"model\.(layers|embed_tokens|norm|projector)\..+", None),
    Rule(r"(model\.|vision_tower\.vision_tower\.)?(image_newline|view_seperator)", None),
]


def deep_encoder(published: dict[str, Tensor]) -> Converted:
    """The state of `DeepEncoder`.

    Raises:
        ValueError: a key that this checkpoint does not have.
    """
    return convert(published, RULES, "DeepSeek-OCR")

"""Uni-Mol: `mol_pre_no_h_220816.pt` (and `mol_pre_all_h_220816.pt`), and the same network inside 3D-MoLM."""

from molfusion.weights.keys import Rule

RULES = [
    Rule(r"embed_tokens\.weight", "embed.weight"),
    Rule(r"encoder\.emb_layer_norm\.(\w+)", r"embed_norm.\1"),
    Rule(r"encoder\.final_layer_norm\.(\w+)", r"norm.\1"),
    Rule(r"encoder\.layers\.(\d+)\.self_attn\.in_proj\.(\w+)", r"layers.\1.qkv.\2"),
    Rule(r"encoder\.layers\.(\d+)\.self_attn\.out_proj\.(\w+)", r"layers.\1.out.\2"),
    Rule(r"encoder\.layers\.(\d+)\.self_attn_layer_norm\.(\w+)", r"layers.\1.attention_norm.\2"),
    Rule(r"encoder\.layers\.(\d+)\.fc1\.(\w+)", r"layers.\1.up.\2"),
    Rule(r"encoder\.layers\.(\d+)\.fc2\.(\w+)", r"layers.\1.down.\2"),
    Rule(r"encoder\.layers\.(\d+)\.final_layer_norm\.(\w+)", r"layers.\1.ffn_norm.\2"),
    Rule(r"gbf_proj\.linear1\.(\w+)", r"pair_hidden.\1"),
    Rule(r"gbf_proj\.linear2\.(\w+)", r"pair_out.\1"),
    Rule(r"gbf\.(means|stds)\.weight", r"gaussian.\1", squeeze=True),
    Rule(r"gbf\.(mul|bias)\.weight", r"gaussian.\1.weight"),
    # Heads of Uni-Mol's own pretraining, which no encoder needs.
    Rule(r"encoder\.final_head_layer_norm\..+", None),
    Rule(r"(lm_head|pair2coord_proj|dist_head)\..+", None),
]

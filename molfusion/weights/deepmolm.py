"""DeepMoLM: a folder with `mm_projector/` (the fusion) and `llm/` (a Qwen2). The image towers are not in it: they are
DeepSeek-OCR's.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from molfusion.errors import MolfusionError
from molfusion.weights.keys import Converted, Rule, convert
from molfusion.weights.read import read_state

# To `CrossAttention` over a `E3FPTokens` (as `context.`), of any `kind`.
RULES = [
    Rule(r"image_newline", "layout.newline"),
    Rule(r"view_seperator", "layout.separator"),
    Rule(r"molecule_embed\.weight", "context.table.weight"),
    Rule(r"image_proj\.(\w+)", r"projection.\1"),
    Rule(r"cross_attn\.([\w.]+)", r"layers.0.attention.\1"),
    Rule(r"cross_attn_norm\.(\w+)", r"layers.0.attention_norm.\1"),
    Rule(r"ffn\.0\.(\w+)", r"layers.0.up.\1"),
    Rule(r"ffn\.[23]\.(\w+)", r"layers.0.down.\1"),  # 3 if it was trained with dropout
    Rule(r"ffn_norm\.(\w+)", r"layers.0.ffn_norm.\1"),
    Rule(r"layers\.([02])\.(\w+)", r"mixer.\1.\2"),  # `concat`
    Rule(r"layers\.(\w+)", r"projection.\1"),  # `linear`
]

# 3D-MolT5's embedding of SELFIES and E3FP, to `E3FPTokens` with `tokens: joint`.
JOINT_RULES = [
    Rule(r"embed_tokens\.weight", "words.weight"),
    Rule(r"molecule_fp_embed_tokens\.weight", "table.weight"),
    Rule(r"emb_linear\.([02])\.(\w+)", r"joiner.\1.\2"),
]


def projector(published: dict[str, Tensor]) -> Converted:
    """The state of `CrossAttention` but for its query.

    Raises:
        ValueError: a key that a projector of DeepMoLM does not have.
    """
    inside = {key.removeprefix("model.").removeprefix("mm_projector."): value for key, value in published.items()}
    return convert(inside, RULES, "DeepMoLM's mm_projector")


def read_projector(folder: Path) -> Converted:
    """The projector of a checkpoint's folder, from `mm_projector/*.safetensors` (or `*.bin`).

    Raises:
        MolfusionError: there is no such file, or more than one.
    """
    inside = folder / "mm_projector"
    files = sorted([*inside.glob("*.safetensors"), *inside.glob("*.bin")])
    if len(files) != 1:
        found = ", ".join(f.name for f in files) or "none"
        raise MolfusionError(f"{inside}: expected one file of weights (.safetensors or .bin), found {found}")
    return projector(read_state(files[0]))


def heads(config: Mapping[str, Any], width: int) -> int:
    """How many heads the released code uses under a config; 8 for the published size, as its config names none.

    `mm_projector_num_heads`, else `num_attention_heads`, else 8; where that does not divide the width, the first of
    8, 4, 2 and 1 that does.
    """
    named = config.get("mm_projector_num_heads") or config.get("num_attention_heads") or 8
    return int(named) if width % int(named) == 0 else next(n for n in (8, 4, 2, 1) if width % n == 0)

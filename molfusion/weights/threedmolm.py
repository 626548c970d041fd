"""3D-MoLM: the Q-Former with its heads (stage 1), or under a language model (stages 2 and 3).

Checkpoints leave out what was frozen (Uni-Mol, Llama).
"""

import re

from torch import Tensor

from molfusion.weights import unimol
from molfusion.weights.keys import Converted, Rule, convert, under

_LAYER = r"bert\.encoder\.layer\.(\d+)\."
_OURS = r"layers.\1."


def _attention(published: str, ours: str) -> list[Rule]:
    return [
        Rule(rf"{_LAYER}{published}\.self\.(query|key|value)\.(\w+)", rf"{_OURS}{ours}.\2.\3"),
        Rule(rf"{_LAYER}{published}\.output\.dense\.(\w+)", rf"{_OURS}{ours}.out.\2"),
        Rule(rf"{_LAYER}{published}\.output\.LayerNorm\.(\w+)", rf"{_OURS}{ours}.norm.\2"),
    ]


def _feed_forward(suffix: str, ours: str) -> list[Rule]:
    return [
        Rule(rf"{_LAYER}intermediate{suffix}\.dense\.(\w+)", rf"{_OURS}{ours}.up.\2"),
        Rule(rf"{_LAYER}output{suffix}\.dense\.(\w+)", rf"{_OURS}{ours}.down.\2"),
        Rule(rf"{_LAYER}output{suffix}\.LayerNorm\.(\w+)", rf"{_OURS}{ours}.norm.\2"),
    ]


# The stack alone (`Qformer.` in the checkpoints).
BERT_RULES = [
    Rule(r"bert\.embeddings\.word_embeddings\.weight", "words.weight"),
    Rule(r"bert\.embeddings\.position_embeddings\.weight", "positions.weight"),
    Rule(r"bert\.embeddings\.LayerNorm\.(\w+)", r"norm.\1"),
    Rule(r"bert\.embeddings\.position_ids", None),
    *_attention("attention", "attention"),
    *_attention("crossattention", "cross"),
    *_feed_forward("", "text_ffn"),
    *_feed_forward("_query", "query_ffn"),
    Rule(r"cls\.predictions\.transform\.dense\.(\w+)", r"lm_dense.\1"),
    Rule(r"cls\.predictions\.transform\.LayerNorm\.(\w+)", r"lm_norm.\1"),
    Rule(r"cls\.predictions\.bias", "lm_bias"),
    Rule(r"cls\.predictions\.decoder\..+", None),  # tied: the word embeddings, and the bias above
]

STAGE1_RULES = [
    Rule(r"(?:blip2qformer\.)?query_tokens", "query"),
    Rule(r"(?:blip2qformer\.)?ln_graph\.(\w+)", r"encoder_norm.\1"),
    Rule(r"(?:blip2qformer\.)?graph_proj\.(\w+)", r"molecule_head.\1"),
    Rule(r"(?:blip2qformer\.)?text_proj\.(\w+)", r"text_head.\1"),
    Rule(r"(?:blip2qformer\.)?gtm_head\.(\w+)", r"match_head.\1"),
    *under(BERT_RULES, r"(?:blip2qformer\.)?Qformer\.", "bert."),
    *under(unimol.RULES, r"(?:blip2qformer\.)?graph_encoder\.", "encoder."),
]

_STAGE2 = r"(?:blip2opt\.)?"
_LLAMA = rf"{_STAGE2}llm_model\.base_model\.model\."
_LINEAR = r"((?:self_attn|mlp)\.\w+_proj)"

# A `Captioning` of a QFormer. `graph_encoder` and the whole of Llama stand in full dumps only.
STAGE2_RULES = [
    Rule(rf"{_STAGE2}query_tokens", "encoder.query"),
    Rule(rf"{_STAGE2}ln_graph\.(\w+)", r"encoder.encoder_norm.\1"),
    Rule(rf"{_STAGE2}llm_proj\.(\w+)", r"connector.\1"),
    *under(BERT_RULES, rf"{_STAGE2}Qformer\.", "encoder.bert."),
    *under(unimol.RULES, rf"{_STAGE2}graph_encoder\.", "encoder.encoder."),
    Rule(rf"{_LLAMA}model\.layers\.(\d+)\.{_LINEAR}\.lora_(A|B)\.default\.weight",
         r"lm.model.model.layers.\1.\2.lora_\3.default.weight"),
    Rule(rf"{_LLAMA}model\.layers\.(\d+)\.{_LINEAR}\.(?:base_layer\.)?weight",
         r"lm.model.model.layers.\1.\2.base_layer.weight"),
    Rule(rf"{_LLAMA}model\.layers\.(\d+)\.(input_layernorm|post_attention_layernorm)\.weight",
         r"lm.model.model.layers.\1.\2.weight"),
    Rule(rf"{_LLAMA}model\.(embed_tokens|norm)\.weight", r"lm.model.model.\1.weight"),
    Rule(rf"{_LLAMA}lm_head\.weight", "lm.model.lm_head.weight"),
    Rule(rf"{_LLAMA}model\.layers\.\d+\.self_attn\.rotary_emb\.inv_freq", None),  # computed, not learned
]  # fmt: skip


# What those checkpoints leave out: what was frozen, stage 1's heads, and the text branch.
_ABSENT = (
    r"encoder\.encoder\..+|encoder\.(molecule_head|text_head|match_head)\..+|encoder\.bert\.(words|positions|lm_\w+)(\..+)?"
    r"|encoder\.bert\.layers\.\d+\.text_ffn\..+|lm\.(?!.*\.lora_).+"
)


def stage2(published: dict[str, Tensor], source: str) -> Converted:
    """A checkpoint of stage 2 or 3 to the state of a `Captioning` of `QFormer(Frozen(UniMol))`; what it lacks is `absent`.

    Raises:
        ValueError: it is another checkpoint.
    """
    made = convert(published, STAGE2_RULES, source)
    inner = {key: f"encoder.encoder.{key.removeprefix('encoder.')}" for key in made.state if key.startswith("encoder.encoder.")}
    made.state = {inner.get(key, key): value for key, value in made.state.items()}
    made.renamed = {theirs: inner.get(ours, ours) for theirs, ours in made.renamed.items()}
    return made


def absent(name: str) -> bool:
    """Whether a checkpoint of stage 2 or 3 leaves out this key of a `Captioning`: Uni-Mol, Llama, the text branch, heads."""
    return re.fullmatch(_ABSENT, name) is not None

"""3D-MoLM, stage 1: the Q-Former with its heads. Checkpoints leave out what was frozen (Uni-Mol)."""

from molfusion.weights import unimol
from molfusion.weights.keys import Rule, under

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

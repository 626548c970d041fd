"""3D-MoLM stage 1: names as in its checkpoints (`blip2qformer.` before each) and in the bare module."""

import pytest
import torch

from molfusion.encoders import UniMol
from molfusion.fusion import QFormer
from molfusion.nn.query_bert import QueryBert
from molfusion.weights import threedmolm
from molfusion.weights.keys import convert
from tests.weights import test_unimol
from tests.weights.helpers import check_complete, check_round_trip

LAYERS, CROSS_EVERY = 3, 2


def bert_names(ours="", theirs=""):
    """Ours -> theirs, for the stack under these prefixes."""
    out = {
        "words.weight": "bert.embeddings.word_embeddings.weight",
        "positions.weight": "bert.embeddings.position_embeddings.weight",
        "lm_bias": "cls.predictions.bias",
    }
    modules = {
        "norm": "bert.embeddings.LayerNorm", "lm_dense": "cls.predictions.transform.dense",
        "lm_norm": "cls.predictions.transform.LayerNorm",
    }  # fmt: skip
    for i in range(LAYERS):
        layer = f"bert.encoder.layer.{i}"
        attentions = {"attention": "attention"} | ({"cross": "crossattention"} if i % CROSS_EVERY == 0 else {})
        for us, them in attentions.items():
            modules |= {f"layers.{i}.{us}.{x}": f"{layer}.{them}.self.{x}" for x in ("query", "key", "value")}
            modules[f"layers.{i}.{us}.out"] = f"{layer}.{them}.output.dense"
            modules[f"layers.{i}.{us}.norm"] = f"{layer}.{them}.output.LayerNorm"
        for us, them in (("text_ffn", ""), ("query_ffn", "_query")):
            modules[f"layers.{i}.{us}.up"] = f"{layer}.intermediate{them}.dense"
            modules[f"layers.{i}.{us}.down"] = f"{layer}.output{them}.dense"
            modules[f"layers.{i}.{us}.norm"] = f"{layer}.output{them}.LayerNorm"
    for us, them in modules.items():
        out |= {f"{us}.{part}": f"{them}.{part}" for part in ("weight", "bias")}
    return {ours + us: theirs + them for us, them in out.items()}


def stage1_names(prefix):
    out = {"query": "query_tokens"}
    modules = {
        "encoder_norm": "ln_graph", "molecule_head": "graph_proj", "text_head": "text_proj", "match_head": "gtm_head",
    }  # fmt: skip
    for us, them in modules.items():
        out |= {f"{us}.{part}": f"{them}.{part}" for part in ("weight", "bias")}
    out |= bert_names("bert.", "Qformer.")
    out |= {f"encoder.{us}": f"graph_encoder.{them}" for us, them in test_unimol.names().items()}
    return {us: prefix + them for us, them in out.items()}


TIED = ["cls.predictions.decoder.weight", "cls.predictions.decoder.bias", "bert.embeddings.position_ids"]


def stack():
    return QueryBert(20, 8, 6, LAYERS, 2, 12, CROSS_EVERY, positions=16)


def stage1():
    return QFormer(
        UniMol(**test_unimol.SIZES), queries=2, dim=8, layers=LAYERS, heads=2, ffn=12, cross_every=CROSS_EVERY, width=4
    )


def test_the_stack():
    check_round_trip(stack(), bert_names(), threedmolm.BERT_RULES, extra=TIED)
    check_complete(stack(), bert_names(), threedmolm.BERT_RULES)


@pytest.mark.parametrize("prefix", ["blip2qformer.", ""])
def test_stage_1(prefix):
    extra = [f"{prefix}Qformer.{key}" for key in TIED] + [f"{prefix}graph_encoder.lm_head.bias"]
    check_round_trip(stage1(), stage1_names(prefix), threedmolm.STAGE1_RULES, extra)


def test_stage_1_is_complete():
    check_complete(stage1(), stage1_names("blip2qformer."), threedmolm.STAGE1_RULES)


def test_a_published_vocabulary_of_another_length_does_not_load():
    """SciBERT's words and [DEC]: a model built over another tokenizer must not take them."""
    names = stage1_names("")
    state = {theirs: stage1().state_dict()[ours] for ours, theirs in names.items()}
    key = "Qformer.bert.embeddings.word_embeddings.weight"
    made = convert({**state, key: torch.zeros(31091, 8)}, threedmolm.STAGE1_RULES, "stage1.ckpt").state
    with pytest.raises(RuntimeError, match=r"size mismatch for bert\.words\.weight.*\[31091, 8\]"):
        stage1().load_state_dict(made)


def test_stage_2_keys_are_not_taken_for_stage_1():
    with pytest.raises(ValueError, match=r"unknown keys, such as llm_proj\.weight"):
        convert({"llm_proj.weight": torch.zeros(1)}, threedmolm.STAGE1_RULES, "stage2.ckpt")

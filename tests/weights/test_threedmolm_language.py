"""3D-MoLM stages 2 and 3: names as in its checkpoints (`blip2opt.` before each), adapters included."""

import pytest
import torch

from molfusion.encoders.base import Frozen
from molfusion.fusion import QFormer
from molfusion.language import LanguageModel, Lora
from molfusion.tasks import Captioning
from molfusion.weights import threedmolm
from molfusion.weights.keys import convert
from tests.language.helpers import SIZES
from tests.weights.test_threedmolm import stage1, stage1_names

HEADS = ("text_proj", "graph_proj", "gtm_head")
TEXT = ("word_embeddings", "position_embeddings", ".intermediate.", ".output.dense", ".output.LayerNorm", "cls.")


def task():
    lm = LanguageModel(config={**SIZES, "num_hidden_layers": 1}, train="lora", lora=Lora(rank=2))
    return Captioning(stage1(), lm)


def in_stage2(theirs):
    """What is left of stage 1: no heads, no text branch, nothing that was frozen."""
    text = any(part in theirs for part in TEXT) and "attention" not in theirs and "_query" not in theirs
    return not theirs.startswith(HEADS) and not text and not theirs.startswith("graph_encoder")


def names():
    """Theirs -> ours, as the official modules name what they save."""
    out = {theirs: f"encoder.{ours}" for ours, theirs in stage1_names("").items() if in_stage2(theirs)}
    out |= {f"llm_proj.{part}": f"connector.{part}" for part in ("weight", "bias")}
    layer = "model.layers.0"
    for linear in ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
                   "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"):  # fmt: skip
        for side in "AB":
            key = f"{layer}.{linear}.lora_{side}.default.weight"
            out[f"llm_model.base_model.model.{key}"] = f"lm.model.{key}"
    return {f"blip2opt.{theirs}": ours for theirs, ours in out.items()}


def test_every_key_of_a_checkpoint_arrives_where_it_belongs():
    made, known = task(), names()
    ours = made.state_dict()
    torch.manual_seed(0)
    published = {theirs: torch.randn_like(ours[mine]) for theirs, mine in known.items()}
    converted = convert(published, threedmolm.STAGE2_RULES, "stage2.ckpt")
    assert converted.renamed == known
    assert converted.left_out == []
    missing, unexpected = made.load_state_dict(converted.state, strict=False)
    assert unexpected == []
    assert set(missing) == {name for name in ours if threedmolm.absent(name)}
    idle = {n for n, p in made.named_parameters() if any(p is q for q in made.encoder.aligning())}
    assert idle <= set(missing)
    for theirs, mine in known.items():
        assert torch.equal(made.state_dict()[mine], published[theirs])


def test_a_full_dump_holds_llama_too():
    made = task()
    base = "blip2opt.llm_model.base_model.model."
    dump = {
        f"{base}lm_head.weight": "lm.model.lm_head.weight",
        f"{base}model.embed_tokens.weight": "lm.model.model.embed_tokens.weight",
        f"{base}model.norm.weight": "lm.model.model.norm.weight",
        f"{base}model.layers.0.input_layernorm.weight": "lm.model.model.layers.0.input_layernorm.weight",
        f"{base}model.layers.0.mlp.up_proj.weight": "lm.model.model.layers.0.mlp.up_proj.base_layer.weight",  # peft < 0.6
        f"{base}model.layers.0.self_attn.q_proj.base_layer.weight": "lm.model.model.layers.0.self_attn.q_proj.base_layer.weight",
    }
    state = made.state_dict()
    converted = convert({k: state[v] for k, v in dump.items()}, threedmolm.STAGE2_RULES, "dump")
    assert converted.renamed == dump


def test_uni_mol_of_a_full_dump_goes_where_it_is_frozen():
    frozen = Captioning(QFormer(Frozen(stage1().encoder), 2, 8, 3, 2, 12, 2, 4), task().lm)
    key = "blip2opt.graph_encoder.embed_tokens.weight"
    (ours,) = threedmolm.stage2({key: torch.zeros(1)}, "dump").state
    assert ours == "encoder.encoder.encoder.embed.weight"
    assert ours in frozen.state_dict()


def test_stage_1_is_not_taken_for_stage_2():
    with pytest.raises(ValueError, match=r"unknown keys, such as blip2qformer\.query_tokens"):
        convert({"blip2qformer.query_tokens": torch.zeros(1)}, threedmolm.STAGE2_RULES, "stage1.ckpt")

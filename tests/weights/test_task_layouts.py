"""`molfusion import` of whole tasks: synthetic checkpoints in the published layouts, to the folder of a run."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
import yaml

from molfusion.build import build
from molfusion.cli import main
from molfusion.config import compose
from molfusion.export import load_task
from molfusion.language.sources import TINY_TOKENIZER
from molfusion.nn.denoiser import Denoiser
from molfusion.tasks import Captioning, Generation
from molfusion.weights.task_layouts import TASKS
from tests.language.helpers import SIZES
from tests.tasks.helpers import fit
from tests.weights import test_layouts as encoders
from tests.weights.helpers import published
from tests.weights.test_threedmolm_language import in_stage2
from tests.weights.test_threemdiffusion import pair

LM = {**SIZES, "hidden_size": 64, "num_hidden_layers": 2, "num_key_value_heads": 4}


def told(capsys, *words, code=0):
    return encoders.told(capsys, *words, code=code)


# -- 3D-MoLM, stages 2 and 3 --------------------------------------------------------------------------


@pytest.fixture
def qformer(tmp_path, capsys):
    """The folder of stage 1 with its Uni-Mol, imported."""
    torch.save(encoders.unimol(), tmp_path / "unimol.pt")
    torch.save(encoders.stage1(), tmp_path / "stage1.ckpt")
    told(capsys, "unimol", tmp_path / "unimol.pt", "--out", tmp_path / "u")
    words = ["3d-molm-stage1", tmp_path / "stage1.ckpt", "--out", tmp_path / "q", *encoders.TOKENIZER]
    told(capsys, *words, "--part", tmp_path / "u" / "encoder.yaml")
    return tmp_path / "q" / "encoder.yaml"


def stage2():
    """What stage2.ckpt holds: of the Q-Former what reads molecules, the projection, the adapters."""
    torch.manual_seed(2)
    state = {
        key.replace("blip2qformer.", "blip2opt."): torch.randn_like(value)
        for key, value in encoders.stage1().items() if in_stage2(key.removeprefix("blip2qformer."))
    }  # fmt: skip
    state["blip2opt.llm_proj.weight"], state["blip2opt.llm_proj.bias"] = torch.randn(64, 64), torch.randn(64)
    sides = {"self_attn": dict.fromkeys(("q_proj", "k_proj", "v_proj", "o_proj"), (64, 64))}
    sides["mlp"] = {"gate_proj": (64, 48), "up_proj": (64, 48), "down_proj": (48, 64)}
    for i in range(2):
        for part, linears in sides.items():
            for linear, (n, m) in linears.items():
                stem = f"blip2opt.llm_model.base_model.model.model.layers.{i}.{part}.{linear}"
                state[f"{stem}.lora_A.default.weight"] = torch.randn(3, n).bfloat16()
                state[f"{stem}.lora_B.default.weight"] = torch.randn(m, 3).bfloat16()
    return state


def small(folder):
    """A Llama of this size in a folder, as the hub keeps it, and the settings that name it."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(3)
    LlamaForCausalLM(LlamaConfig(**{k: v for k, v in LM.items() if k != "model_type"})).save_pretrained(folder)
    return [
        "--model.lm.name", folder, "--model.lm.tokenizer", TINY_TOKENIZER, "--model.lm.dtype", "float32",
        "--model.lm.config", str({**LM, "rms_norm_eps": 1e-6}), "--model.decoding", "{max_new_tokens: 4, min_new_tokens: 1}",
        "--trainer.precision", "32-true", "--trainer.accelerator", "cpu",
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["stage2", "stage3"])
def test_a_captioner_out_of_3d_molms_checkpoint(stage, qformer, card, tmp_path, capsys):
    settings, state = small(tmp_path / "llama"), stage2()
    torch.save({"state_dict": state, "hyper_parameters": {"init_lr": 1e-4}}, tmp_path / "x.ckpt")
    words = [f"3d-molm-{stage}", tmp_path / "x.ckpt", "--out", tmp_path / "run", *settings]
    error = told(capsys, *words, code=2)
    assert "leaves out the model's encoder, trained before: give --model.encoder FILE" in error
    out = told(capsys, *words, "--model.encoder", qformer)
    assert "renamed   blip2opt.llm_proj.weight -> connector.weight  64×64" in out
    assert "from part encoder.text_head.weight" in out
    assert "from part encoder.encoder.encoder.embed.weight" in out
    assert f"{len(state)} renamed, " in out
    assert " 0 missing" in out
    qformer.with_suffix(".safetensors").unlink()  # the run holds all of it

    config = compose([tmp_path / "run" / "config.yaml"])
    task = load_task(build(config, tmp_path / "run").task, tmp_path / "run" / "checkpoints" / "best.ckpt")
    assert isinstance(task, Captioning)
    assert task.encoder.mask == "legacy_inverted"
    held = task.state_dict()
    assert torch.equal(held["encoder.query"], state["blip2opt.query_tokens"])
    assert torch.equal(held["connector.bias"], state["blip2opt.llm_proj.bias"])
    key = "model.layers.1.mlp.down_proj.lora_B.default.weight"
    assert torch.equal(held[f"lm.model.{key}"], state[f"blip2opt.llm_model.base_model.model.{key}"].float())
    assert torch.equal(held["encoder.encoder.encoder.embed.weight"], encoders.unimol()["model"]["embed_tokens.weight"])

    asked = ["predict", "--run", str(tmp_path / "run"), "--data.card", str(card), "--out", str(tmp_path / "said.parquet")]
    assert main(asked) == 0
    assert len([r["text"] for r in pq.read_table(tmp_path / "said.parquet").to_pylist() if not r["problem"]]) == 24
    assert main(["test", "--run", str(tmp_path / "run"), "--data.card", str(card), "--model.test_samples", "1"]) == 0
    # And training goes on from it.
    lm = config.tree["model"]["init_args"]["lm"]
    encoder = str(tmp_path / "run" / "encoder.yaml")
    start = str(tmp_path / "run" / "checkpoints" / "best.ckpt")
    short = {"samples": 1, "test_samples": 1, "decoding": {"max_new_tokens": 2}}
    more = fit(tmp_path / "more", card, "Captioning", encoder=encoder, lm=lm, start=start, epochs=1, lr=0.0, **short)
    assert more["cost"]["trained_parameters"] > 0
    after = torch.load(tmp_path / "more" / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    assert after.keys() == held.keys()
    assert all(torch.equal(after[k], held[k]) for k in held)


def test_a_full_dump_leaves_llama_to_its_source(qformer, tmp_path, capsys):
    base = "blip2opt.llm_model.base_model.model."
    dump = {f"{base}lm_head.weight": torch.zeros(1024, 64), f"{base}model.norm.weight": torch.zeros(64)}
    torch.save({"state_dict": {**stage2(), **dump}}, tmp_path / "x.ckpt")
    words = ["3d-molm-stage2", tmp_path / "x.ckpt", "--out", tmp_path / "run", *small(tmp_path / "llama")]
    out = told(capsys, *words, "--model.encoder", qformer)
    assert f"left out  {base}lm_head.weight  1024×64" in out
    assert " 2 left out" in out
    saved = torch.load(tmp_path / "run" / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    assert not any("lm_head" in key and key.startswith("lm.") for key in saved)


def test_another_size_is_refused_and_nothing_written(qformer, tmp_path, capsys):
    settings = small(tmp_path / "llama")
    words = ["3d-molm-stage2", tmp_path / "x.ckpt", "--out", tmp_path / "run", *settings, "--model.encoder", qformer]
    state = stage2()
    state["blip2opt.llm_proj.weight"] = torch.randn(32, 64)
    torch.save({"state_dict": state}, tmp_path / "x.ckpt")
    assert "connector.weight is [32, 64], expected [64, 64]" in told(capsys, *words, code=2)
    del state["blip2opt.llm_proj.weight"]
    torch.save({"state_dict": state}, tmp_path / "x.ckpt")
    assert "it lacks connector.weight. Is it 3D-MoLM after captioning" in told(capsys, *words, code=2)
    torch.save({"state_dict": encoders.stage1()}, tmp_path / "x.ckpt")
    assert "not the layout '3d-molm-stage2'" in told(capsys, *words, code=2)
    torch.save({"state_dict": {k: v for k, v in stage2().items() if ".lora_" not in k}}, tmp_path / "x.ckpt")
    assert "it has no adapters of a language model" in told(capsys, *words, code=2)
    assert "its parts are given as in its config" in told(capsys, *words, "--part", qformer, code=2)
    assert not (tmp_path / "run").exists()


# -- 3M-Diffusion -----------------------------------------------------------------------------------------


def denoiser_names(layers=8):
    out = {"nothing.weight": "diffusion_model.null_embedding.weight"}
    modules = {"time.0": "time_mlp.1", "time.2": "time_mlp.3", "time_in": "time_pos_embed_mlp.1", "input": "input_proj",
               "norm": "norm", "output": "output_proj"} | {f"layers.{i}": f"encoder.{i}" for i in range(layers)}  # fmt: skip
    for us, them in modules.items():
        out |= pair(us, f"diffusion_model.{them}")
    return out


def diffusion(latent=6, context=6, **changed):
    """model-winoise100_train_decoder.pt: each section as it stands there."""
    state = published(Denoiser(latent, context, 256, 8), denoiser_names())
    buffers = {name: torch.zeros(100) for name in ("alphas_cumprod", "posterior_variance", "p2_loss_weight")}
    buffers |= {"betas": torch.linspace(1e-3, 0.2, 100), "latent_mean": torch.zeros(latent, dtype=torch.long),
                "latent_scale": torch.tensor(1), "diffusion_model.context_proj.weight": torch.zeros(3, 3)}  # fmt: skip
    buffers |= changed
    model = {**state, **buffers}
    ema = {"initted": torch.tensor(True), "step": torch.tensor(1500)}
    ema |= {f"online_model.{k}": v for k, v in model.items()} | {f"ema_model.{k}": v / 2 for k, v in model.items()}
    opt = {"state": {0: {"exp_avg": torch.zeros(2)}}, "param_groups": [{"lr": 1e-3}]}
    return {"step": 1500, "model": model, "decoder": {"W_root.weight": torch.zeros(2)}, "opt": opt, "ema": ema, "scaler": None}


@pytest.fixture
def towers(card, tmp_path, capsys):
    """Its autoencoder and its text tower, imported."""
    encoders.test_the_autoencoder_of_3m_diffusion(card, tmp_path, capsys)
    (tmp_path / "a").rename(tmp_path / "autoencoder")
    encoders.test_the_text_tower_of_3m_diffusion(card, tmp_path, capsys)
    return ["--model.encoder", tmp_path / "autoencoder" / "encoder.yaml", "--model.text.encoder", tmp_path / "a" / "encoder.yaml"]


@pytest.mark.slow
def test_molecules_out_of_3m_diffusions_checkpoint(towers, tmp_path, capsys):
    torch.save(diffusion(), tmp_path / "model.pt")
    words = ["3m-diffusion", tmp_path / "model.pt", "--out", tmp_path / "run"]
    assert "leaves out the model's encoder and text, trained before" in told(capsys, *words, code=2)
    out = told(capsys, *words, *towers)
    stem = "diffusion_model.output_proj.bias"
    assert f"renamed   model.{stem} -> denoiser.output.bias  6" in out
    assert f"renamed   ema.ema_model.{stem} -> average.module.output.bias  6" in out
    assert f"left out  ema.online_model.{stem}  6" in out
    assert "left out  decoder.W_root.weight  2" in out
    assert "left out  opt (no weights)" in out
    assert " 0 missing" in out
    for file in (tmp_path / "autoencoder", tmp_path / "a"):
        (file / "encoder.safetensors").unlink()

    task = build(compose([tmp_path / "run" / "config.yaml"]), tmp_path / "run").task
    load_task(task, tmp_path / "run" / "checkpoints" / "best.ckpt")
    assert isinstance(task, Generation)
    assert (task.standard, task.sampled, task.guidance, task.diffusion.compat) == (None, True, 0.8, True)
    ours = published(Denoiser(6, 6, 256, 8), denoiser_names())["diffusion_model.output_proj.bias"]
    assert torch.equal(task.denoiser.output.bias, ours)
    assert torch.equal(task.average.module.output.bias, ours / 2)
    assert task.average.updates.item() == 1500

    # A decoder of random weights writes long, and by rounding a molecule or none: the time ends it, and there is a row.
    asked = ["generate", "It is an alcohol.", "--run", str(tmp_path / "run"), "-n", "1", "--steps", "4", "--timeout", "2"]
    assert main(asked) in {0, 1}
    assert "samples are molecules" in capsys.readouterr().out
    assert pq.read_table(tmp_path / "run" / "generated" / "molecules.parquet").num_rows == 1
    assert main(["generate", "--run", str(tmp_path / "run"), "--steps", "101", "x"]) == 2
    assert "already holds a run" in told(capsys, *words, *towers, code=2)
    assert main(["fit", "--run", str(tmp_path / "run"), "-c", str(tmp_path / "run" / "config.yaml")]) == 0, "only read"


def test_what_no_weight_of_the_diffusion_tells_is_checked(towers, tmp_path, capsys):
    words = ["3m-diffusion", tmp_path / "model.pt", "--out", tmp_path / "run", *towers]
    for checkpoint, message in (
        (diffusion(betas=torch.linspace(1e-3, 0.3, 100)), "expected 100 linear ones"),
        (diffusion(betas=torch.linspace(2e-3, 0.4, 50)), "model.betas are 50 numbers"),
        (diffusion(latent_scale=torch.tensor(2.5)), "trained on normalised latents"),
        ({k: v for k, v in diffusion().items() if k != "ema"}, "no `ema` with `ema_model"),
        (diffusion(latent=5), "expected [256, 12]"),
        (diffusion(extra=torch.zeros(1)), "2 unknown keys, such as ema.ema_model.extra"),
    ):
        torch.save(checkpoint, tmp_path / "model.pt")
        error = told(capsys, *words, code=2)
        assert message in error
        assert len(error.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_they_are_listed_beside_the_encoders(capsys):
    out = told(capsys)
    assert all(name in out for name in TASKS)
    for layout in TASKS.values():
        assert yaml.safe_load(Path("experiments", layout.base).read_text())["model"]

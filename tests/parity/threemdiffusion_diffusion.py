"""Checks against 3M-Diffusion's official modules: alignment, latent diffusion, metrics."""

import json
import os
import re
import socket

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch_geometric.data import Data

from molfusion.batch import MoleculeBatch
from molfusion.encoders import GIN, Projection, TextEncoder
from molfusion.metrics import molecules as metrics
from molfusion.nn.contrastive import contrastive
from molfusion.nn.denoiser import Denoiser, sinusoids
from molfusion.nn.diffusion import Diffusion, betas, condition
from molfusion.nn.ema import Average
from molfusion.tasks import AdamWMatrices, WarmupCosine
from molfusion.tasks.retrieval import DualTower
from molfusion.views.text import Texts
from molfusion.weights import threemdiffusion as weights
from tests.parity.golden import Case, close, component

TOLERANCE = 1e-4


# -- stage 1 -----------------------------------------------------------------------------------------


def _rank(rank: int, port: int, graph: np.ndarray, text: np.ndarray, queue) -> None:
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", rank=rank, world_size=2)
    half = slice(rank * len(graph) // 2, (rank + 1) * len(graph) // 2)
    mine = torch.from_numpy(graph[half]).requires_grad_(), torch.from_numpy(text[half]).requires_grad_()
    loss = contrastive(mine[0].unsqueeze(1), mine[1], 0.1, "detached").loss
    loss.backward()
    queue.put((rank, loss.item(), mine[0].grad.numpy(), mine[1].grad.numpy()))
    torch.distributed.destroy_process_group()


@component("3m-diffusion", "contrastive")
def contrast(case: Case, tmp_path) -> None:
    io = case.arrays("io")
    graph, text = io["graph_n"].clone().requires_grad_(), io["text_n"].clone().requires_grad_()
    close(F.normalize(io["graph"], dim=-1), graph, "unit norm", 1e-6)
    out = contrastive(graph.unsqueeze(1), text, 0.1, "detached")
    close(out.molecule_logits, io["logits_per_graph"], "graph to text", 1e-6)
    close(out.text_logits, io["logits_per_text"], "text to graph", 1e-6)
    close(out.loss, io["loss"], "loss", 1e-6)
    both = contrastive(graph.unsqueeze(1), text, 0.1, "gradient").loss
    close(both, io["loss"], "the way of the gradient does not change the loss", 1e-6)
    both.backward()
    close(graph.grad, io["grad_graph_n"], "gradient of the graphs", TOLERANCE)
    close(text.grad, io["grad_text_n"], "gradient of the texts", TOLERANCE)
    if "multi_query_loss" in io:
        many = contrastive(F.normalize(io["graph_q"], dim=-1), io["text_n"], 0.1, "detached")
        close(many.loss, io["multi_query_loss"], "best of several vectors", 1e-6)
    _two_ranks(io)


def _two_ranks(io) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = torch.multiprocessing.get_context("spawn")
    queue = context.Queue()
    given = io["graph_n"].numpy(), io["text_n"].numpy()
    processes = [context.Process(target=_rank, args=(r, port, *given, queue)) for r in range(2)]
    for process in processes:
        process.start()
    try:
        found = {rank: rest for rank, *rest in (queue.get(timeout=120) for _ in range(2))}
    finally:
        for process in processes:
            process.join(10)
            process.kill()
    loss, graph, text = found[1]
    close(torch.tensor(loss), io["rank1_loss"], "loss of rank 1", 1e-6)
    close(torch.from_numpy(graph), io["rank1_grad_graph_n"], "its graphs' gradient", TOLERANCE)
    close(torch.from_numpy(text), io["rank1_grad_text_n"], "its texts' gradient", TOLERANCE)


@component("3m-diffusion", "text_graph_towers")
def towers(case: Case, tmp_path) -> None:
    c, io = case.config, case.arrays("io")
    n = len(io["input_ids"])
    molecule = Projection(GIN(c["gin"]["emb_dim"], c["gin"]["num_layer"], compat=True), c["projection_dim"], norm=True)
    molecule.load_state_dict(weights.graph_tower(case.weights(), case.name).state)
    text = Projection(_bert(c["bert"], tmp_path), c["projection_dim"], pool="first")
    text.load_state_dict(weights.text_tower(case.weights(), source=case.name).state)
    pair = DualTower(molecule, text, None, c["temperature"], "detached", learned=False).eval()
    graph = Data(x=io["x"], edge_index=io["edge_index"], edge_attr=io["edge_attr"], batch=io["batch"])
    blank = [""] * n
    views = {molecule.encoder.view: graph, text.encoder.view: Texts(io["input_ids"], io["attention_mask"].bool())}
    batch = MoleculeBatch(blank, blank, blank, blank, blank, blank, blank, torch.zeros(n, 0), views)
    real = io["attention_mask"].bool()
    close(text.encoder(batch).x[real], io["last_hidden_state"][real], "word pieces", TOLERANCE)
    close(text(batch).x[:, 0], io["text_context"], "condition", TOLERANCE)
    close(pair.embed_texts(batch), io["text_normalised"], "texts", TOLERANCE)
    close(pair.embed_molecules(batch)[:, 0], io["graph_normalised"], "graphs", TOLERANCE)
    tokens = molecule.encoder(batch)
    close(molecule.norm(tokens.x)[tokens.mask], io["node_after_ln"][io["node_mask"]], "atoms", TOLERANCE)
    close(pair.losses(batch)["contrast"], io["loss"], "loss", TOLERANCE)
    assert not pair.log_scale.requires_grad


def _bert(c: dict, folder) -> TextEncoder:
    from transformers import BertConfig

    BertConfig(**{k: v for k, v in c.items() if k not in {"cross_attention_freq", "encoder_width"}}).save_pretrained(folder)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{i}" for i in range(c["vocab_size"] - 5))]
    (folder / "vocab.txt").write_text("\n".join(words))
    return TextEncoder(str(folder), pretrained=False)


# -- stage 3 -----------------------------------------------------------------------------------------


def denoiser_of(c: dict, state: dict[str, torch.Tensor], name: str) -> Denoiser:
    model = Denoiser(c["latent_dim"], c["context_dim"], c["tx_dim"], c["tx_depth"])
    if not any(k.startswith("diffusion_model.") for k in state):
        state = {f"diffusion_model.{k}": v for k, v in state.items()}
    model.load_state_dict(weights.denoiser(state, name).state)
    return model


@component("3m-diffusion", "denoiser")
def denoising(case: Case, tmp_path) -> None:
    io = case.arrays("io")
    model = denoiser_of(case.config, case.weights(), case.name)
    close(sinusoids(io["t"], case.config["tx_dim"]), io["sinusoidal"], "sinusoids", 1e-5)
    close(model.time_vector(io["t"]), io["time_emb"], "time", 1e-5)
    close(model(io["x"], io["t"], io["context"]), io["out"], "out", 1e-5)


@component("3m-diffusion", "schedule")
def schedule(case: Case, tmp_path) -> None:
    recorded = case.arrays("schedule")
    for kind, steps in sorted({tuple(re.match(r"([a-z]+)(\d+)/", k).groups()) for k in recorded}):
        found = {k.split("/")[1]: v for k, v in recorded.items() if k.startswith(f"{kind}{steps}/")}
        diffusion = Diffusion(int(steps), kind)
        close(betas(int(steps), kind), found["betas64"], "betas", 1e-9)
        close(diffusion.alphas, found["alphas_cumprod"], "alphas", 1e-6)
        times = torch.arange(int(steps))
        x, noise = torch.ones(len(times), 1), torch.zeros(len(times), 1)
        close(diffusion.noised(x, times, noise)[:, 0], found["sqrt_alphas_cumprod"], "signal", 1e-6)
        close(diffusion.noised(noise, times, x)[:, 0], found["sqrt_one_minus_alphas_cumprod"], "noise", 1e-6)
        diffusion.objective = "noise"
        close(diffusion.x0_of(noise, x, times)[:, 0], found["sqrt_recip_alphas_cumprod"], "1/√ᾱ", 1e-5)
        close(-diffusion.x0_of(x, noise, times)[:, 0], found["sqrt_recipm1_alphas_cumprod"], "√(1/ᾱ - 1)", 1e-5)
        _posterior(diffusion, found)
        for name, expected in found.items():
            if name.startswith("ddim_times_"):
                count = int(name.removeprefix("ddim_times_"))
                assert [*diffusion.times(count), -1] == expected.tolist(), name


def _posterior(diffusion: Diffusion, found) -> None:
    """With η = 1 and no stride a step is DDPM's own: mean of the posterior, and its variance."""
    one, zero = torch.ones(1, 1), torch.zeros(1, 1)
    rows = []
    for t in range(1, diffusion.steps):
        a, after = diffusion.alphas[t], diffusion.alphas[t - 1]
        rows.append([diffusion._next(*given, a, after, 1.0, noise).item() for *given, noise in
                     ((zero, one, zero), (one, zero, zero), (zero, zero, one))])  # fmt: skip
    x0, x, sigma = torch.tensor(rows).T
    close(x0, found["posterior_mean_coef1"][1:], "share of x0", TOLERANCE)
    close(x, found["posterior_mean_coef2"][1:], "share of x", TOLERANCE)
    close(sigma**2, found["posterior_variance"][1:], "variance", 1e-6)


@component("3m-diffusion", "p_losses")
def losses(case: Case, tmp_path) -> None:
    c, io = case.config, case.arrays("io")
    model = denoiser_of(c, case.weights(), case.name)
    diffusion = Diffusion(c["timesteps"], objective=c["objective"].removeprefix("pred_"), compat=True)
    dropped = io["uncond_mask"].bool()
    x = diffusion.noised(io["x_start"], io["t"], io["noise"])
    close(x, io["x_t"], "noised", 1e-5)
    context = condition(model, io["context"], len(x), dropped)
    close(context, io["context_after"], "conditions", 1e-6)
    out = model(x, io["t"], context)
    x0 = diffusion.x0_of(out, x, io["t"])
    close(x0, io["pred_x_start"], "x0", TOLERANCE)
    if "pred_noise" in io and c["objective"] == "pred_noise":
        close(out, io["pred_noise"], "noise", 1e-5)
    loss = diffusion.loss(model, io["x_start"], io["context"], io["t"], io["noise"], dropped)
    close(loss, io["loss_l2"], "loss", TOLERANCE)
    close(F.l1_loss(x0, io["x_start"]), io["loss_l1"], "its absolute error", TOLERANCE)
    close(F.smooth_l1_loss(x0, io["x_start"]), io["loss_smooth_l1"], "its smooth error", TOLERANCE)
    loss.backward()
    close(model.nothing.weight.grad, io["grad_null_embedding"], "gradient of nothing", TOLERANCE)
    close(model.output.weight.grad.norm(), io["grad_output_proj_norm"], "gradient of the output", TOLERANCE)


@component("3m-diffusion", "sampling")
def sampling(case: Case, tmp_path) -> None:
    io = case.arrays("io")
    model = denoiser_of(case.config, case.weights(), case.name)
    diffusion = Diffusion(case.config.get("timesteps", 100), compat=True)
    for name, guidance, eta in (("w1", 1.0, 1.0), ("w08", 0.8, 1.0), ("w15_eta0", 1.5, 0.0), ("uncond_noddim", 1.0, 1.0)):
        context = None if name.startswith("uncond") else io["context"]
        count = len(io[f"{name}_times"])
        with torch.no_grad():
            noises = iter(io["noises"][1:])
            steps = list(diffusion.walk(model, context, io["noises"][0], count, guidance, eta, noises=noises))
        assert [s.t for s in steps] == io[f"{name}_times"].tolist(), name
        close(steps[-1].after, io[f"{name}_final"], f"{name}: end", TOLERANCE)
        if f"{name}_traj" in io:
            close(torch.stack([s.x for s in steps]), io[f"{name}_traj"], f"{name}: way", TOLERANCE)
            close(torch.stack([s.x0 for s in steps]), io[f"{name}_x0"], f"{name}: x0", TOLERANCE)
        else:
            close(steps[-1].x, io[f"{name}_x_last"], f"{name}: last", TOLERANCE)


@component("3m-diffusion", "train_steps")
def train_steps(case: Case, tmp_path) -> None:
    c, io = case.config, case.arrays("io")
    model = denoiser_of(c["cfg"], case.weights("weights_start"), case.name)
    average, diffusion = Average(model), Diffusion(c["cfg"].get("timesteps", 100))
    optimizer = AdamWMatrices(model.parameters(), lr=1e-3, betas=(0.9, 0.999), weight_decay=1e-5)
    rates = WarmupCosine(c["warmup"], floor=0.0, from_zero=True).scheduler(optimizer, c["total_steps"])
    for i in range(len(io["loss"])):
        close(torch.tensor(optimizer.param_groups[0]["lr"]), io["lr"][i], f"step {i}: rate", 1e-9)
        drop = io["uncond_mask"][i].bool()
        loss = diffusion.loss(model, io["x_start"][i], io["context"][i], io["t"][i], io["noise"][i], drop)
        close(loss, io["loss"][i].to(loss.dtype), f"step {i}: loss", TOLERANCE)
        optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        close(norm, io["grad_norm_before_clip"][i].to(norm.dtype), f"step {i}: gradient", 1e-3)
        optimizer.step()
        rates.step()
        average.update(model)
        close(average.kept()[0], io["ema_decay_after_update"][i], f"step {i}: average", 1e-6)
    for ours, name in ((model, "weights_end"), (average.module, "weights_ema_end")):
        expected = denoiser_of(c["cfg"], case.weights(name), name).state_dict()
        for key, value in ours.state_dict().items():
            close(value, expected[key], f"{name}: {key}", TOLERANCE)


# -- metrics -----------------------------------------------------------------------------------------


@component("3m-diffusion", "metrics")
def generation_metrics(case: Case, tmp_path) -> None:
    given = json.loads((case.folder / "inputs.json").read_text())
    expected = json.loads((case.folder / "expected.json").read_text())
    found = metrics.released(given["references"], given["generated"])
    names = {"Qualified Samples": "Similarity", "Novelty": "Novelty", "Diversity": "Diversity", "Validity": "Validity"}
    assert len(expected["printed_multi"]) == 4
    for line in expected["printed_multi"]:
        _printed(line, names, found)
    single = expected["single"]
    found = metrics.released(given["references"], [[s] for s in single["generated"]])
    for line in single["printed"]:
        _printed(line, names, found)
    assert found["Validity"] == pytest.approx(single["validity"], abs=1e-9)
    common = metrics.mean_common_part(given["references"], single["generated"])
    assert common == pytest.approx(single["mean_rascal_tier1"], abs=1e-9)
    strange = metrics.resembling_none(single["generated"], given["references"])
    assert strange == pytest.approx(expected["eval_novelty_vs_refs"], abs=1e-9)
    assert metrics.pair_distances(single["generated"]) == pytest.approx(expected["eval_diversity_pairs"], abs=1e-9)


def _printed(line: str, names: dict[str, str], found: dict[str, float]) -> None:
    name, value = re.fullmatch(r"(.+?):? ([\d.e-]+)", line).groups()
    assert found[names[name]] == pytest.approx(float(value), abs=1e-9), line

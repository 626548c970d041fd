"""Checks against 3D-MoLM's official modules (Uni-Mol, Q-Former, stage 1)."""

import os
import socket

import numpy as np
import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from molfusion.batch import Tokens
from molfusion.encoders.unimol import SYMBOLS, UniMol
from molfusion.encoders.unimol_pretraining import pair_norm, pair_states, token_norm
from molfusion.fusion.qformer import Negatives, QFormer, negative_weights
from molfusion.metrics.retrieval import candidates_only, ranks, recall
from molfusion.nn.contrastive import contrastive, similarity
from molfusion.nn.gaussian import GaussianPairs
from molfusion.nn.query_bert import QueryBert
from molfusion.views.conformer import ConformerView, heavy_atoms
from molfusion.views.text import Texts, TextView
from molfusion.weights import threedmolm, unimol
from molfusion.weights.keys import Rule, convert
from tests.parity.golden import Case, close, component

GRADIENT = 1e-4


@component("3d-molm", "gaussian_layer")
def gaussian_layer(case: Case, tmp_path) -> None:
    layer = GaussianPairs(case.config["K"], case.config["edge_types"])
    rules = [
        Rule(r"(means|stds)\.weight", r"\1", squeeze=True),
        Rule(r"(mul|bias)\.weight", r"\1.weight"),
    ]
    layer.load_state_dict(convert(case.weights(), rules, case.name).state)
    given, expected = case.arrays("inputs"), case.arrays("outputs")
    out = layer(given["dist"], given["edge_type"])
    close(out, expected["out"], "densities", 2e-6)
    (out * given["cotangent"]).sum().backward()
    rows = expected["grad_rows"]
    close(layer.means.grad[None], expected["grad_means"], "grad means", GRADIENT)
    close(layer.stds.grad[None], expected["grad_stds"], "grad stds", GRADIENT)
    close(layer.mul.weight.grad[rows], expected["grad_mul_rows"], "grad mul", GRADIENT)
    close(layer.bias.weight.grad[rows], expected["grad_bias_rows"], "grad bias", GRADIENT)


@component("3d-molm", "unimol_encoder")
def unimol_encoder(case: Case, tmp_path) -> None:
    c = case.config
    model = UniMol(c["embed_dim"], c["layers"], c["ffn"], c["heads"], c["gaussian_K"]).eval()
    converted = convert(case.weights(), unimol.RULES, case.name)
    model.load_state_dict(converted.state)
    given, expected = case.arrays("inputs"), case.arrays("outputs")
    layers: list[torch.Tensor] = []
    for layer in model.layers:
        layer.register_forward_hook(lambda _m, _i, out: layers.append(out[0]))
    states = model.encode(given["src_tokens"], given["src_distance"], given["src_edge_type"])
    close(states.x, expected["encoder_rep"], "tokens, padding rows included")
    close(~states.mask, expected["padding_mask"], "padding mask")
    for i, x in enumerate(layers):
        close(x, expected[f"layer{i}_x"], f"layer {i}")
    pairs, delta = pair_states(states)
    close(pairs, expected["pair_rep"], "pairs")
    close(delta, expected["delta_pair_rep"], "change of pairs")
    close(token_norm(states.hidden, states.mask), expected["x_norm"], "token norm")
    close(pair_norm(delta, states.mask), expected["delta_pair_rep_norm"], "pair norm")
    densities = model.gaussian(given["src_distance"], given["src_edge_type"])
    close(densities[:1], expected["gbf"], "densities of molecule 0")
    bias = model.pair_out(F.gelu(model.pair_hidden(densities)))
    close(bias, expected["initial_pair_bias"], "first bias")

    (states.x * given["cotangent"]).sum().backward()
    parameters = dict(model.named_parameters())
    for key, value in expected.items():
        if key.startswith("grad::"):
            found = parameters[converted.renamed[key.removeprefix("grad::")]].grad
            close(found.reshape(value.shape), value, key, GRADIENT)

    alone = model.encode(given["nopad_src_tokens"], given["nopad_src_distance"], given["nopad_src_edge_type"])
    close(alone.x, expected["nopad_encoder_rep"], "tokens without padding")
    close(pair_states(alone)[0], expected["nopad_pair_rep"], "pairs without padding")


@component("3d-molm", "unimol_data")
def unimol_data(case: Case, tmp_path) -> None:
    from rdkit import Chem

    given, expected = case.arrays("inputs"), case.arrays("outputs")
    model = UniMol(dim=8, layers=1, ffn=8, heads=1, kernels=2)
    table = Chem.GetPeriodicTable()

    def item(name: str, order=None) -> dict[str, np.ndarray]:
        numbers = np.array([table.GetAtomicNumber(str(a)) for a in given[f"{name}_atoms"]], dtype=np.uint8)
        kept = heavy_atoms(numbers)
        kept = kept if order is None else kept[order]
        return {"numbers": numbers[kept], "positions": given[f"{name}_coords"].numpy()[kept].astype(np.float32)}

    def check(inputs, row: int, name: str) -> None:
        n = len(expected[f"{name}_tokens"])
        close(inputs.tokens[row, :n], expected[f"{name}_tokens"], f"{name} tokens")
        close(inputs.positions[row, :n], expected[f"{name}_coords"].float(), f"{name} positions", 2e-6)
        close(inputs.distances[row, :n, :n], expected[f"{name}_dist"], f"{name} distances", 2e-6)
        if f"{name}_edge_type" in expected:
            close(inputs.pair_types[row, :n, :n], expected[f"{name}_edge_type"], f"{name} pair types")

    names = sorted({k.removesuffix("_atoms") for k in given if k.endswith("_atoms")})
    view = ConformerView()
    batch = model.inputs(view.collate([item(name) for name in names]))
    for row, name in enumerate(names):
        check(batch, row, name)
    n = batch.tokens.shape[1]  # theirs is padded to a multiple of 8
    for key, found in (("tokens", batch.tokens), ("edge_type", batch.pair_types), ("dist", batch.distances)):
        whole = expected[f"batch_{key}"]
        inner = whole[(slice(None), *[slice(n)] * (whole.ndim - 1))]
        close(found, inner, f"batch {key}", 2e-6)
        assert whole.abs().sum() == inner.abs().sum(), f"batch {key}: theirs is not empty beyond {n}"
    for key in given:
        if key.startswith("crop_") and key.endswith("_permutation"):
            name = key.removeprefix("crop_").removesuffix("_permutation")
            cropped = model.inputs(view.collate([item(name, given[key].numpy())]))
            check(cropped, 0, f"crop_{name}")


def query_bert(case: Case) -> tuple[QueryBert, dict]:
    """The stack with the case's weights, and those weights that are not the stack's."""
    c = case.config
    weights = case.weights()
    inner = {k.removeprefix("Qformer."): v for k, v in weights.items() if k.startswith("Qformer.")}
    vocab = inner["bert.embeddings.word_embeddings.weight"].shape[0]
    stack = QueryBert(
        vocab, c["hidden"], c["u_dim"], c["layers"], c["heads"], c["inter"], c["xattn_freq"],
        c["max_position_embeddings"],
    ).eval()  # fmt: skip
    converted = convert(inner, threedmolm.BERT_RULES, case.name).state
    missing = stack.load_state_dict(converted, strict=False).missing_keys
    assert all(k.startswith("lm_") for k in missing), missing  # the head is recorded with the caption case only
    return stack, {k: v for k, v in weights.items() if not k.startswith("Qformer.")}


def states_bias(mask: torch.Tensor) -> torch.Tensor:
    lowest = torch.finfo(torch.float32).min
    return ((1 - mask.float()) * lowest)[:, None, None, :]


def hidden_states(stack: QueryBert) -> list[torch.Tensor]:
    seen: list[torch.Tensor] = []
    stack.norm.register_forward_hook(lambda _m, _i, out: seen.append(out))
    for layer in stack.layers:
        layer.register_forward_hook(lambda _m, _i, out: seen.append(out[0]))
    return seen


@component("3d-molm", "qformer_multimodal")
def qformer_multimodal(case: Case, tmp_path) -> None:
    stack, _ = query_bert(case)
    given, expected = case.arrays("inputs"), case.arrays("outputs")
    states, mask = given["encoder_states"], given["encoder_mask"]
    queries = given["query_tokens"].expand(len(states), -1, -1)
    seen = hidden_states(stack)
    out, cache = stack.read_states(queries, states, states_bias(mask))
    close(out, expected["last_hidden_state"], "queries", 2e-6)
    for i, x in enumerate(seen):
        close(x, expected[f"hidden_{i}"], f"hidden {i}", 2e-6)
    close(cache[0].key, expected["self_k_layer0"], "keys")
    close(cache[0].value, expected["self_v_layer0"], "values")
    close(stack.read_states(queries, states, None)[0], expected["nomask_last_hidden_state"], "no mask")
    inverted = stack.read_states(queries, states, states_bias(1 - mask))[0]
    close(inverted, expected["invertedmask_last_hidden_state"], "inverted mask")


@component("3d-molm", "qformer_text")
def qformer_text(case: Case, tmp_path) -> None:
    stack, _ = query_bert(case)
    given, expected = case.arrays("inputs"), case.arrays("outputs")
    seen = hidden_states(stack)
    out = stack.read_text(given["input_ids"], given["text_mask"].bool())
    close(out, expected["last_hidden_state"], "text", 2e-6)
    for i, x in enumerate(seen):
        close(x, expected[f"hidden_{i}"], f"hidden {i}", 2e-6)
    head = case.folder.parent / "stage1_losses"  # where this text head is recorded
    if head.is_dir():
        weights = Case(head).weights()
        projected = F.linear(out[:, 0], weights["text_proj.weight"], weights["text_proj.bias"])
        close(F.normalize(projected, dim=-1), expected["text_feats"], "text features")


@component("3d-molm", "qformer_joint")
def qformer_joint(case: Case, tmp_path) -> None:
    stack, rest = query_bert(case)
    given, expected = case.arrays("inputs"), case.arrays("outputs")
    queries = given["query_tokens"].expand(len(given["input_ids"]), -1, -1)
    out = stack.read_both(
        queries, given["input_ids"], given["text_mask"].bool(), given["encoder_states"], states_bias(given["encoder_mask"])
    )
    close(out, expected["last_hidden_state"], "queries and text", 2e-6)
    logits = F.linear(out[:, : queries.shape[1]], rest["gtm_head.weight"], rest["gtm_head.bias"]).mean(1)
    close(logits, expected["itm_logits"], "matching logits")


@component("3d-molm", "qformer_caption")
def qformer_caption(case: Case, tmp_path) -> None:
    stack, _ = query_bert(case)
    given, expected = case.arrays("inputs"), case.arrays("outputs")
    queries = given["query_tokens"].expand(len(given["input_ids"]), -1, -1)
    _, cache = stack.read_states(queries, given["encoder_states"], states_bias(given["encoder_mask"]))
    logits = stack.next_word(stack.read_caption(given["decoder_input_ids"], given["text_mask"].bool(), cache))
    real = given["text_mask"].bool()
    close(logits[real], expected["logits"][real], "next-word logits")
    labels = given["labels"][:, 1:].flatten()
    for name, smoothing in (("loss", case.config["label_smoothing"]), ("loss_without_label_smoothing", 0.0)):
        loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), labels, label_smoothing=smoothing)
        close(loss, expected[name], name, 2e-6)


def stage1_model(case: Case, tmp_path) -> tuple[QFormer, dict[str, str]]:
    """The whole of stage 1, through the key map that loads published checkpoints."""
    c = case.config
    folder = tmp_path / "vocabulary"
    folder.mkdir()
    assert c["vocab"][-1] == "[DEC]"
    (folder / "vocab.txt").write_text("\n".join(c["vocab"][:-1]))
    encoder = UniMol(c["u_dim"], c["u_layers"], c["u_ffn"], c["u_heads"], c["u_K"])
    model = QFormer(
        encoder, c["num_query"], c["hidden"], c["layers"], c["heads"], c["inter"], c["xattn_freq"], c["proj"],
        c["temperature"], tokenizer=str(folder), length=c.get("text_max_len", 64),
    ).eval()  # fmt: skip
    converted = convert(case.weights(), threedmolm.STAGE1_RULES, case.name)
    positions = model.state_dict()["bert.positions.weight"].clone()
    recorded = converted.state["bert.positions.weight"]
    positions[: len(recorded)] = recorded  # theirs has as many positions as this toy needed
    model.load_state_dict(converted.state | {"bert.positions.weight": positions})
    encoder.requires_grad_(False)
    return model, converted.renamed


@component("3d-molm", "stage1_losses")
def stage1_losses(case: Case, tmp_path) -> None:
    given, expected = case.arrays("inputs"), case.arrays("outputs")
    for variant in ("official", "fixed"):
        (tmp_path / variant).mkdir()
        model, renamed = stage1_model(case, tmp_path / variant)
        if "texts" in case.config:
            view = TextView(str(tmp_path / variant / "vocabulary"), case.config["text_max_len"])
            from molfusion.batch import Record

            captions = [t.replace("\\n", "\n") for t in case.config["texts"]]  # recorded escaped
            items = [view.featurise(Record(id="", smiles="", canonical="", text=t)) for t in captions]
            texts = view.collate(items)
            width = texts.ids.shape[1]
            close(texts.ids, given["input_ids"][:, :width], "token ids")
        texts = Texts(given["input_ids"], given["text_mask"].bool())
        states = model.encoder.encode(given["src_tokens"], given["src_distance"], given["src_edge_type"])
        # The official code hands its padding mask to the queries as what they may see.
        mask = states.mask if variant == "fixed" else ~states.mask
        tokens = Tokens(states.x, mask)
        read = model.read(tokens)
        if variant == "official":
            close(read.states, expected["encoder_after_ln"], "encoder states")
        molecules, captions = model.project(read.queries), model.project_text(texts)
        close(molecules, expected[f"{variant}_graph_feats"], "molecule features")
        close(captions, expected[f"{variant}_text_feats"], "text features")
        contrast = contrastive(molecules, captions, model.temperature, "detached")
        close(contrast.molecule_logits, expected[f"{variant}_logits_g2t"], "molecule to text")
        close(contrast.text_logits, expected[f"{variant}_logits_t2g"], "text to molecule")
        close(negative_weights(contrast.text_logits), expected[f"{variant}_weights_t2g"], "weights of molecules")
        close(negative_weights(contrast.molecule_logits), expected[f"{variant}_weights_g2t"], "weights of texts")
        m, t = given["neg_graph_idx"], given["neg_text_idx"]
        paired = Texts(
            torch.cat([texts.ids, texts.ids, texts.ids[t]]), torch.cat([texts.mask, texts.mask, texts.mask[t]])
        )
        logits = model.match_logits(
            torch.cat([read.states, read.states[m], read.states]), torch.cat([read.bias, read.bias[m], read.bias]), paired
        )
        close(logits, expected[f"{variant}_itm_logits"], "matching logits")

        # The inverted mask hides every state of a molecule without padding. Such rows occur nowhere else, and the
        # fused attention kernel's backward is wrong for them (its log-sum-exp is lost beside finfo.min).
        with sdpa_kernel(SDPBackend.MATH):
            losses = model.losses_of(tokens, texts, Negatives(m, t))
            total = sum(losses.values())
            total.backward()
        close(losses["contrast"], expected[f"{variant}_loss_itc"], "contrast", 2e-6)
        close(losses["match"], expected[f"{variant}_loss_itm"], "match", 2e-6)
        close(losses["caption"], expected[f"{variant}_loss_lm"], "caption", 2e-6)
        close(total, expected[f"{variant}_loss"], "total", 2e-6)
        parameters = dict(model.named_parameters())
        for key, value in expected.items():
            if key.startswith(f"{variant}_grad::"):
                found = parameters[renamed[key.removeprefix(f"{variant}_grad::")]].grad
                close(found[: len(value)].reshape(value.shape), value, key, GRADIENT)
        idle = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
        assert not idle, f"{variant}: no gradient for {idle}"


def _contrast_rank(rank: int, world: int, port: int, given, temperature: float, queue) -> None:
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", rank=rank, world_size=world)
    b = len(given["text_feats_raw"]) // world
    graph = given["graph_feats_raw"][rank * b : (rank + 1) * b].requires_grad_()
    text = given["text_feats_raw"][rank * b : (rank + 1) * b].requires_grad_()
    out = contrastive(F.normalize(graph, dim=-1), F.normalize(text, dim=-1), temperature, "detached")
    out.loss.backward()
    found = (out.loss, out.molecule_logits, out.text_logits, graph.grad, text.grad)
    queue.put((rank, [x.detach().numpy() for x in found]))
    torch.distributed.destroy_process_group()


@component("3d-molm", "itc_ddp")
def itc_ddp(case: Case, tmp_path) -> None:
    given, expected = case.arrays("inputs"), case.arrays("outputs")
    world = case.config["world_size"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = torch.multiprocessing.get_context("spawn")
    queue = context.Queue()
    arguments = (world, port, given, case.config["temperature"], queue)
    processes = [context.Process(target=_contrast_rank, args=(r, *arguments)) for r in range(world)]
    for process in processes:
        process.start()
    try:
        results = dict(queue.get(timeout=120) for _ in range(world))
    finally:
        for process in processes:
            process.join(10)
            process.kill()
    keys = ("loss", "logits_g2t_local", "logits_t2g_local", "grad_graph", "grad_text")
    for rank, values in results.items():
        for key, found in zip(keys, values, strict=True):
            tolerance = GRADIENT if "grad" in key else 2e-6
            close(torch.from_numpy(np.asarray(found)), expected[f"rank{rank}_{key}"], f"rank {rank} {key}", tolerance)


@component("3d-molm", "retrieval_eval")
def retrieval_eval(case: Case, tmp_path) -> None:
    model, _ = stage1_model(case, tmp_path)
    given, expected = case.arrays("inputs"), case.arrays("outputs")
    batches = sorted({k.split("_")[0] for k in given})
    size = case.config["batch"]
    for variant in ("official", "fixed"):
        molecules, captions, states, biases, ids, masks, in_batch = [], [], [], [], [], [], {}
        with torch.no_grad():
            for number, b in enumerate(batches):
                tokens, distances, types = (given[f"{b}_src_{k}"] for k in ("tokens", "distance", "edge_type"))
                out = model.encoder.encode(tokens.long(), distances, types.long())
                mask = out.mask if variant == "fixed" else ~out.mask
                read = model.read(Tokens(out.x, mask))
                texts = Texts(given[f"{b}_input_ids"].long(), given[f"{b}_text_mask"].bool())
                molecules.append(model.project(read.queries))
                captions.append(model.project_text(texts))
                n = len(texts.ids)
                every = Texts(texts.ids.repeat(n, 1), texts.mask.repeat(n, 1))
                repeated = [x.repeat_interleave(n, 0) for x in (read.states, read.bias)]
                match = model.match_logits(*repeated, every)[:, 1].view(n, n)
                close(match, expected[f"{variant}_inbatch_itm_logit1"][number], "matching logits in the batch")
                scores = similarity(molecules[-1], captions[-1])
                for name, matrix in (("", scores), ("rerank_", scores + match)):
                    _record(in_batch, f"inbatch_{name}g2t", matrix)
                    _record(in_batch, f"inbatch_{name}t2g", matrix.T)
                states.append(read.states)
                biases.append(read.bias)
                ids.append(texts.ids)
                masks.append(texts.mask)
        close(torch.cat(molecules), expected[f"{variant}_graph_rep"], "molecule features")
        close(torch.cat(captions), expected[f"{variant}_text_rep"], "text features")
        scores = similarity(torch.cat(molecules), torch.cat(captions))
        close(scores, expected[f"{variant}_sim_g2t"], "similarity")
        full: dict[str, list] = {}
        _record(full, "full_g2t", scores)
        _record(full, "full_t2g", scores.T)
        match = _all_matches(model, states, biases, Texts(torch.cat(ids), torch.cat(masks)))
        for name, matrix, logits in (("g2t", scores, match), ("t2g", scores.T, match.T)):
            chosen = torch.from_numpy(candidates_only(matrix.numpy(), case.config["rerank_cand_num"]))
            _record(full, f"full_rerank_{name}", (matrix + logits).masked_fill(~chosen, -torch.inf), chosen)
        for key, values in (in_batch | full).items():
            found = round(100 * float(np.concatenate(values).mean()), 2)
            assert found == float(expected[f"{variant}_{key}"]), f"{variant}_{key}: {found}"
        assert size == len(ids[0])


def _record(into: dict, name: str, scores: torch.Tensor, chosen: torch.Tensor | None = None) -> None:
    """Per-query hits; a right answer outside the re-ranked candidates is a miss."""
    matrix = scores.numpy().astype(np.float64)
    found = ranks(np.where(np.isinf(matrix), -1e9, matrix), np.arange(len(matrix)))
    reachable = np.ones(len(matrix)) if chosen is None else chosen.numpy().diagonal()
    for label, k in (("acc", 1), ("r20", 20)):
        into.setdefault(f"{name}_{label}", []).append(recall(found, k) * reachable)


def _all_matches(model: QFormer, states, biases, texts: Texts) -> torch.Tensor:
    """Matching logit of every molecule with every text. Their evaluation pads stored states to one length."""
    longest = max(s.shape[1] for s in states)
    rows = []
    with torch.no_grad():
        for s, b in zip(states, biases, strict=True):
            extra = longest - s.shape[1]
            s = F.pad(s, (0, 0, 0, extra))
            b = F.pad(b, (0, extra), value=torch.finfo(torch.float32).min)
            for i in range(len(s)):
                n = len(texts.ids)
                rows.append(model.match_logits(s[i : i + 1].expand(n, -1, -1), b[i : i + 1].expand(n, -1, -1, -1), texts)[:, 1])
    return torch.stack(rows)


assert SYMBOLS == 31  # the fixtures' dictionary

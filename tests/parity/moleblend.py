"""Checks against MoleBLEND's official preprocessing and modules."""

import numpy as np
import torch
import torch.nn.functional as F

from molfusion.batch import MoleculeBatch, Record, Target, Tokens
from molfusion.chem.graph import ATOM_SIZES, BOND_SIZES
from molfusion.chem.relations import FAR, HOPS
from molfusion.encoders.moleblend import RELATIONS, Blend, Inputs, MoleBlend
from molfusion.encoders.moleblend_pretraining import Draws, MoleBlendPretraining
from molfusion.encoders.moleblend_targets import SPD_CLASSES
from molfusion.tasks.property import Property
from molfusion.tasks.schedule import CosineRestarts
from molfusion.views.relations import Relations, RelationsView
from molfusion.weights import moleblend as weights
from tests.parity.golden import Case, close, component

UNREACHABLE = 510
GRADIENT = 2e-4


def relations_of(smiles) -> Relations:
    view = RelationsView(max_atoms=512)
    return view.collate([view.featurise(Record(s, s, s)) for s in map(str, smiles)])


@component("moleblend", "collate")
def collate(case: Case, tmp_path) -> None:
    assert case.config["multi_hop_max_dist"] == HOPS
    assert FAR == UNREACHABLE
    given, expected = case.arrays("inputs"), case.arrays("outputs")
    batch = relations_of(given["in_smiles"])
    counts = given["in_n_atoms"].tolist()
    close(batch.mask.sum(1), given["in_n_atoms"], "atoms of each molecule")
    close(batch.atom_rows(), expected["out_batch_x"], "x")
    close(batch.distances, expected["out_batch_spatial_pos"], "spatial_pos")
    close(batch.degree_rows(), expected["out_batch_in_degree"], "in_degree")
    close(batch.degree_rows(), expected["out_batch_out_degree"], "out_degree")
    close(batch.bond_rows(), expected["out_batch_attn_edge_type"], "attn_edge_type")
    close(batch.pair_rows(), expected["out_batch_node_type_edge"], "node_type_edge")
    d = expected["out_batch_edge_input"].shape[3]  # theirs is as deep as the batch's longest path, ours always 5
    close(batch.hop_rows()[:, :, :, :d], expected["out_batch_edge_input"], "edge_input")
    assert not batch.hop_rows()[:, :, :, d:].any()
    closed = torch.isinf(expected["out_batch_attn_bias"][:, 0, 1:])
    close(~batch.mask, closed, "columns that attention may not read")

    for k, n in enumerate(counts):
        prefix = f"out_mol{k}_"
        close(batch.atoms[k, :n].long() - 1, expected[f"{prefix}node_feat"], f"features {k}")
        spd = expected[f"{prefix}spd"]
        close(batch.distances[k, :n, :n].long() - 1, spd, f"distances {k}")
        _follows(batch, k, n, expected[f"{prefix}fw_path"], spd)
        close(batch.degrees()[k, :n], expected[f"{prefix}item_in_degree"], f"degrees {k}")
    assert batch.atoms.shape[-1] == len(ATOM_SIZES)


def _follows(batch: Relations, k: int, n: int, inner: torch.Tensor, spd: torch.Tensor) -> None:
    """Every path's hops are those of its two halves around the recorded inner atom."""
    hops = batch.hops[k, :n, :n].tolist()
    for i in range(n):
        for j in range(n):
            length = int(spd[i, j])
            if not 1 < length < UNREACHABLE:
                continue
            via = int(inner[i, j])
            left, right = int(spd[i, via]), int(spd[via, j])
            assert left + right == length
            whole = hops[i][via][: min(left, HOPS)] + hops[via][j][: min(right, HOPS)]
            if left < HOPS:
                assert hops[i][j][: min(length, HOPS)] == whole[: min(length, HOPS)]
            else:
                assert hops[i][j] == hops[i][via]


def inputs_of(given: dict[str, torch.Tensor]) -> Inputs:
    """The official batch as ours."""
    rows = given["batch_edge_input"]
    features = rows - 3 - 512 * torch.arange(3)
    codes = 1 + (features[..., 0] * BOND_SIZES[1] + features[..., 1]) * BOND_SIZES[2] + features[..., 2]
    hops = F.pad(torch.where(rows[..., 0] > 0, codes, 0), (0, HOPS - rows.shape[3]))
    x = given["batch_x"]
    mask = x[..., 0] > 0
    elements = (x[..., 0] - 1).clamp(min=0)
    return Inputs(x, elements, given["batch_in_degree"], given["batch_spatial_pos"], hops, mask, given["batch_pos"], mask)


def blend_of(given: dict[str, torch.Tensor]) -> Blend:
    return Blend(given["in_blend_assignment"].long()[None], given["in_atom_blend_is3d"])


def network(case: Case, relations=RELATIONS) -> MoleBlend:
    c = case.config
    heads = c["heads"]
    layers, ffn = c.get("layers", 0), c.get("ffn", 1)  # the case `relations` has tables only
    return MoleBlend(
        c["embed_dim"], layers, ffn, heads, c["K"], relations, dropout=0.0, attention_dropout=0.0,
        activation_dropout=0.0, drop_path=0.0, sandwich=c.get("sandwich_ln", False),
    )  # fmt: skip


def real(found: torch.Tensor, expected: torch.Tensor, mask: torch.Tensor, what: str) -> None:
    """Rows of atoms that are there."""
    close(found[mask], expected[mask], what)


@component("moleblend", "relations")
def relations(case: Case, tmp_path) -> None:
    model = network(case)
    converted = weights.encoder_state(case.weights(), case.name).state
    lacking = model.load_state_dict(converted, strict=False)
    assert not lacking.unexpected_keys
    assert all(k.startswith("norm.") for k in lacking.missing_keys), lacking.missing_keys
    given, expected = case.arrays("inputs"), case.arrays("outputs")
    inputs, blend = inputs_of(given), blend_of(given)
    known = relations_of(given["in_smiles"])
    assert torch.equal(known.hops.long(), inputs.hops.long()), "hop codes"
    assert torch.equal(known.atoms[..., 0].long(), inputs.elements), "elements"
    rows = inputs.mask

    def pairs(bias: torch.Tensor, name: str) -> None:
        """[B, N, N, H], padded columns apart."""
        both = rows[:, :, None] & rows[:, None, :]
        close(bias[both], expected[name].permute(0, 2, 3, 1)[both], name)

    pairs(model.spd(inputs.distances), "out_spd_bias")
    pairs(model.path(inputs.hops, inputs.distances), "out_edge_path_bias")
    space = model.space(inputs.positions, inputs.elements, inputs.known)
    pairs(space.bias, "out_dist3d_bias")
    real(space.centrality, 0.01 * expected["out_merged_edge_features"], rows, "centrality")
    both = rows[:, :, None] & rows[:, None, :]
    close(space.delta[both], expected["out_delta_pos"][both], "directions")
    n = int(rows[0].sum())
    distances = (inputs.positions[:, None] - inputs.positions[:, :, None]).norm(dim=-1)
    densities = model.space.densities(distances, inputs.elements)
    close(densities[0, :n, :n], expected["out_gbf"][0, :n, :n], "densities")

    closed = ~rows[:, None, None, :]
    base = model._with_graph_token(torch.zeros(*closed.shape[:1], model.heads, *rows.shape[1:] * 2))
    for chosen, name in ((None, "out_full_sum_bias"), (blend, "out_full_blend_bias")):
        bias = model._bias(inputs, chosen, RELATIONS, space).permute(0, 3, 1, 2)
        whole = model._with_graph_token(bias.masked_fill(closed, float("-inf")))
        finite(whole[:, :, 1:, 1:], expected[name][:, :, 1:, 1:], rows, name)
        finite(whole[:, :, :, :1], expected[name][:, :, :, :1], F.pad(rows, (1, 0), value=True), f"{name}, graph token")
    finite(base[:, :, 1:, 1:], expected["out_base_bias"][:, :, 1:, 1:].nan_to_num(neginf=0.0), rows, "base bias")
    close(base[:, :, 0, 0], expected["out_base_bias"][:, :, 0, 0], "graph token to itself")
    blended = model._bias(inputs, blend, RELATIONS, space)
    pairs(blended, "out_blend_bias")
    atoms = F.embedding_bag(inputs.atoms.flatten(0, 1), model.atom.weight, mode="sum").view(*rows.shape, -1)
    tokens = torch.cat([model.graph_token.expand(len(rows), 1, -1), atoms], 1)
    real(tokens, expected["out_token_features"], F.pad(rows, (1, 0), value=True), "tokens")
    degree = (model.in_degree(inputs.degrees) + model.out_degree(inputs.degrees)) * ~blend.space[..., None]
    real(degree, expected["out_degree_features"], rows, "degrees")
    central = degree + space.centrality * blend.space[..., None]
    real(central, expected["out_atom_blend"], rows, "atoms blended")


def finite(found: torch.Tensor, expected: torch.Tensor, rows: torch.Tensor, what: str) -> None:
    """[B, H, N, M], the rows of real atoms: closed where the official is closed, else the same."""
    found, expected = (x.permute(0, 2, 1, 3)[rows] for x in (found, expected))
    opened = torch.isfinite(expected)
    assert torch.equal(torch.isfinite(found), opened), f"{what}: other columns are closed"
    close(found[opened], expected[opened], what)


@component("moleblend", "encoder")
def encoder(case: Case, tmp_path) -> None:
    model = network(case)
    objective = MoleBlendPretraining(model, compat=True).eval()
    published = case.weights()
    state = weights.pretraining_state(published, case.name).state
    lacking = objective.load_state_dict(state, strict=False)
    assert not lacking.unexpected_keys
    assert all(k.split(".")[1] in {"spd", "path", "direction"} for k in lacking.missing_keys), lacking.missing_keys
    given, expected = case.arrays("inputs"), case.arrays("outputs")
    inputs = inputs_of(given)
    seen: list[torch.Tensor] = []
    model.norm.register_forward_hook(lambda _m, _i, out: seen.append(out))
    for layer in model.layers:
        layer.register_forward_hook(lambda _m, _i, out: seen.append(out))
    for name, blend in (("sum", None), ("blend", blend_of(given))):
        seen.clear()
        states = model.encode(inputs, blend)
        for i, x in enumerate(seen):
            real(x, expected[f"out_states_{name}"][i].transpose(0, 1), states.mask, f"state {i}, {name}")
        vectors = objective.heads["denoise"](states.x[:, 1:], states.bias, states.delta)
        real(vectors, expected[f"out_atom_output_{name}"], inputs.mask, f"denoised, {name}")


@component("moleblend", "pretrain")
def pretrain(case: Case, tmp_path) -> None:
    c = case.config
    assert (c["spd_num_classes"], c["edge_classes"], c["edge_max_dist"]) == (SPD_CLASSES, [4, 3, 2], HOPS)
    objective = MoleBlendPretraining(
        network(case), direction_hidden=c["pred_3d_hidden"], noise=c["noise_scale"], head_dropout=0.0,
        by_molecule=c["sum_loss"], granularity="official", compat=True,
    )  # fmt: skip
    published = case.weights()
    converted = weights.pretraining_state(published, case.name)
    objective.load_state_dict(converted.state)
    given, expected = case.arrays("inputs"), case.arrays("outputs")
    inputs = inputs_of(given)
    noise = given["in_noise"] * (inputs.positions != 0).any(-1, keepdim=True)
    close(inputs.positions + noise, expected["out_pos_noised"], "positions with noise")
    close(objective._movable(inputs), (inputs.positions != 0).any(-1), "atoms that move")

    states = objective.encoder.encode(inputs._replace(positions=inputs.positions + noise), blend_of(given))
    real(states.x, expected["out_last_state"].transpose(0, 1), states.mask, "last state")
    atoms = states.x[:, 1:]
    both = inputs.mask[:, :, None] & inputs.mask[:, None, :]
    heads = {"spd": "out_spd_logits", "direction": "out_3d_pred", "path": "out_edge_logits"}
    for name, key in heads.items():
        logits = objective.heads[name](atoms).transpose(2, 3)
        close(logits[both], expected[key].flatten(3)[both], key)
    vectors = objective.heads["denoise"](atoms, states.bias, states.delta)
    real(vectors, expected["out_atom_output"], inputs.mask, "denoised")

    losses = objective.losses_of(inputs, Draws(noise, blend_of(given)))
    names = {"denoise": "denoise", "spd": "spd", "path": "edge", "direction": "3d"}
    for ours, theirs in names.items():
        close(losses[ours], expected[f"out_loss_{theirs}"], f"loss {theirs}")
    close(sum(losses.values()), expected["out_loss_logged"], "unweighted sum")
    factors = {"denoise": "denoise", "spd": "spd", "path": "edge", "direction": "d3"}
    total = sum(c["loss_factors"][theirs] * losses[ours] for ours, theirs in factors.items())
    close(total, expected["out_loss_backward"], "weighted sum")
    total.backward()
    gradients = published_gradients(objective, published, converted)
    for name, norm, whole in zip(*(expected[f"out_grad_{x}"] for x in ("names", "norm", "sum")), strict=True):
        if norm < 0:
            assert str(name) not in published, f"{name} should have no gradient"
        elif not str(name).endswith("k_proj.bias"):  # 0 but for rounding
            gradient = gradients[str(name)]
            close(gradient.norm(), norm, f"gradient of {name}", GRADIENT)
            close(gradient.sum(), whole, f"sum of the gradient of {name}", GRADIENT)
    stem = "encoder.molecule_encoder."
    close(objective.encoder.space.means.grad[None], expected["out_grad_gbf_means"], "gradient of the means", GRADIENT)
    close(gradients[f"{stem}layers.0.self_attn.q_proj.weight"], expected["out_grad_q0"], "gradient of q", GRADIENT)
    close(objective.encoder.graph_bias.grad[None], expected["out_grad_virtual"], "gradient of the graph bias", GRADIENT)


def published_gradients(module, published, converted) -> dict[str, torch.Tensor]:
    """Gradients under the published names; a joined tensor's are cut apart again."""
    parameters = dict(module.named_parameters())
    sharing: dict[str, list[str]] = {}
    for theirs, ours in converted.renamed.items():
        sharing.setdefault(ours, []).append(theirs)
    def place(name: str) -> int:
        return next(i for i, part in enumerate(("q_proj", "k_proj", "v_proj", "proj1", "proj2", "proj3", "")) if part in name)

    out = {}
    for ours, names in sharing.items():
        out |= dict(zip(sorted(names, key=place), parameters[ours].grad.chunk(len(names)), strict=True))
    return out


@component("moleblend", "finetune")
def finetune(case: Case, tmp_path) -> None:
    c = case.config
    mode = {"2d": ("spd", "path"), "3d": ("3d",), "2d3d": RELATIONS}[c["mode"]]
    given, expected = case.arrays("inputs"), case.arrays("outputs")
    inputs = inputs_of(given)
    model = network(case, mode)
    classes = c["task_type"] == "classification"
    kind = "classification" if classes else "regression"
    converted = weights.finetuned_state(case.weights(), case.name).state
    y = given["in_target"].clone()
    if classes:
        y = torch.where(given["batch_weights"] > 0, y, torch.nan)
    tasks = {}
    for readout in ("token", "sum"):
        task = Property(model, hidden=c["embed_dim"], loss="mse", readout=readout, norm=False).eval()
        task.targets = tuple(Target(f"t{k}", kind=kind) for k in range(c["num_tasks"]))
        task._standardise(np.full(c["num_tasks"], c["mean"]), np.full(c["num_tasks"], c["std"]))
        task.configure_model()
        buffers = {k: v for k, v in task.state_dict().items() if k in {"mean", "std", "is_class"}}
        task.load_state_dict(converted | buffers)
        task.encoder.forward = lambda batch: Tokens(*model.encode(batch.inputs)[:2])
        tasks[readout] = task
    batch = Official(*[[""] * len(y)] * 7, targets=y, views={})
    batch.inputs = inputs
    states = model.encode(inputs)
    real(states.x, expected["out_last_state"].transpose(0, 1), states.mask, "last state")
    logits = tasks["token"]._answered(states.x)
    real(logits, expected["out_token_logits"], states.mask, "answers of every token")

    outputs = {name: task(batch) for name, task in tasks.items()}
    outputs["mean"] = outputs["sum"] / inputs.mask.shape[1]  # of the padded length, as published
    names = {"token": "cls", "sum": "sum", "mean": "mean"}
    for ours, theirs in names.items():
        predicted = outputs[ours] if classes else outputs[ours] * c["std"] + c["mean"]
        close(predicted, expected[f"out_molnet_predictions_{theirs}"], f"predictions, {theirs}")
    for ours, task in tasks.items():
        loss = task.losses(batch)["loss"] * (1 if classes else c["std"] ** 2)  # theirs is in the target's units
        close(loss, expected[f"out_molnet_loss_{names[ours]}"], f"loss, {ours}")
    if classes:
        return
    z, unit = outputs["token"], tasks["token"].predict(batch)
    asked = {"no_std": (z, y), "std_labels": (z, (y - c["mean"]) / c["std"]), "std_logits": (unit, y)}
    for name, (found, wanted) in asked.items():
        close((found - wanted).abs().sum(), expected[f"out_qm9_L1_{name}_loss"], f"QM9 L1 {name}")
        close((found - wanted).square().sum(), expected[f"out_qm9_L2_{name}_loss"], f"QM9 L2 {name}")
        error = ((z if name == "no_std" else unit) - y).abs().sum()
        for norm in ("L1", "L2"):
            close(error, expected[f"out_qm9_{norm}_{name}_l1"], f"QM9 {norm} {name}: absolute error")
    ours = tasks["token"].losses(batch)["loss"] * y.numel()
    close(ours, expected["out_qm9_L2_std_labels_loss"], "Property's own loss")


class Official(MoleculeBatch):
    """A batch that carries the official arrays instead of views."""

    inputs: Inputs


@component("moleblend", "schedule")
def schedule(case: Case, tmp_path) -> None:
    c = case.config
    (rate,) = c["lr"]
    period = None if c["lr_period_updates"] <= 0 else int(c["lr_period_updates"])
    ours = CosineRestarts(
        c["warmup_updates"], c["warmup_init_lr"] / rate, c["min_lr"] / rate, period, c["t_mult"], c["lr_shrink"]
    )
    steps = case.arrays("inputs")["in_steps"].tolist()
    found = torch.tensor([rate * ours.factor(n, c["max_update"]) for n in steps], dtype=torch.float64)
    close(found / rate, case.arrays("outputs")["out_lr"] / rate, "learning rate", 1e-9)

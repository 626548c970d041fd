"""A pretraining step of MoleBLEND at paper size (12 × 768 × 32 heads), beside the published operations."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmarks.plain_moleblend import Batch, PlainMoleBlend
from benchmarks.table import Row, Table, timed
from molfusion.batch import Geometry, MoleculeBatch, Record
from molfusion.chem.conformer import embed
from molfusion.chem.parse import parse
from molfusion.encoders import MoleBlend, MoleBlendPretraining
from molfusion.encoders.moleblend import Inputs
from molfusion.weights.moleblend import pretraining_state

# Of 40 heavy atoms, and three times 39.
MOLECULES = {
    "lapatinib": "CS(=O)(=O)CCNCc1ccc(o1)-c1ccc2ncnc(Nc3ccc(OCc4cccc(F)c4)c(Cl)c3)c2c1",
    "nilotinib": "Cc1ccc(cc1Nc1nccc(n1)-c1cccnc1)C(=O)Nc1cc(cc(c1)C(F)(F)F)-n1cnc(C)c1",
    "telmisartan": "CCCc1nc2c(C)cc(cc2n1Cc1ccc(cc1)-c1ccccc1C(=O)O)-c1nc2ccccc2n1C",
    "ponatinib": "Cc1ccc(cc1C#Cc1cnc2cccnn12)C(=O)Nc1ccc(CN2CCN(C)CC2)c(c1)C(F)(F)F",
}
PUBLISHED = {"denoise": 6.0, "direction": 0.5, "spd": 0.1, "path": 0.1}
NAMES = {"denoise": "denoise", "direction": "3d", "spd": "spd", "path": "edge"}
HEADS = ["blend_spd_pred_head", "blend_edge_pred_head", "blend_3d_pred_head"]


def table(quick: bool) -> Table:
    repeats = 2 if quick else 7
    torch.manual_seed(0)
    layers = 2 if quick else 12
    off = {"attention_dropout": 0.0, "activation_dropout": 0.0, "drop_path": 0.0}
    ours = MoleBlendPretraining(MoleBlend(layers=layers, **off), head_dropout=0.0, granularity="official", compat=True)
    plain = PlainMoleBlend(768, layers, 768, 32, 128)
    for name, parameter in plain.named_parameters():
        if "norm" not in name.lower():
            nn.init.normal_(parameter, std=0.02)
    for module in plain.modules():
        if isinstance(module, nn.Embedding) and module.padding_idx is not None:
            module.weight.data[module.padding_idx].zero_()
    ours.load_state_dict(pretraining_state(plain.state_dict(), "plain").state)
    batch = batch_of(ours, sized())
    inputs = ours.encoder.inputs(batch)
    draws = ours.draw(inputs, torch.Generator().manual_seed(0))
    official = official_batch(ours, batch, inputs)

    def step(autocast: bool = False) -> float:
        ours.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            losses = ours.losses_of(inputs, draws)
        return backward({NAMES[k]: PUBLISHED[k] * v for k, v in losses.items()})

    def plain_step() -> float:
        plain.zero_grad(set_to_none=True)
        assert draws.blend is not None
        losses = plain.losses(official, draws.noise, (draws.blend.relation[0], draws.blend.space))
        return backward({theirs: PUBLISHED[us] * losses[theirs] for us, theirs in NAMES.items()})

    rows = []
    for name, mine, tolerance in (("float32", step, 1e-4), ("bf16, plain in float32", lambda: step(True), 2e-2)):
        found, expected, apart = side_by_side(mine, plain_step, repeats)
        assert apart < tolerance, f"{name}: the losses differ by {apart:.2g}"
        rows.append(Row(f"pretraining step, {name}", found, expected))
    states = torch.randn(len(MOLECULES), inputs.mask.shape[1], 768, requires_grad=True)
    found, expected, apart = side_by_side(lambda: heads(ours, states), lambda: plain_heads(plain, states), repeats)
    assert apart < 1e-4, f"pair heads: they differ by {apart:.2g}"
    rows.append(Row("three pair heads, float32", found, expected))
    size = f"batch of {len(MOLECULES)} × {inputs.mask.shape[1]} atoms, {layers} layers × 768 × 32 heads"
    notes = "plain: benchmarks/plain_moleblend.py, the published operations; same weights, same losses"
    return Table(f"{size}, forward and backward, dropout 0, 1 thread", rows, notes)


def side_by_side(mine: Callable[[], float], theirs: Callable[[], float], repeats: int) -> tuple[list[float], list[float], float]:
    """Times of both in turn, and how far their results are apart, relative."""
    a, b = mine(), theirs()  # once untimed
    found, expected = [], []
    for _ in range(repeats):
        found.append(timed(mine, 1)[0])
        expected.append(timed(theirs, 1)[0])
    return found, expected, abs(a - b) / abs(b)


def backward(losses: dict[str, Tensor]) -> float:
    total = torch.stack(list(losses.values())).sum()
    total.backward()
    return total.item()


def heads(ours: MoleBlendPretraining, states: Tensor) -> float:
    total = torch.stack([ours.heads[name](states).square().mean() for name in ("spd", "path", "direction")]).sum()
    total.backward()
    return total.item()


def plain_heads(plain: PlainMoleBlend, states: Tensor) -> float:
    total = torch.stack([plain.get_submodule(name)(states).square().mean() for name in HEADS]).sum()
    total.backward()
    return total.item()


def sized() -> list[Record]:
    """The four molecules, embedded."""
    out = []
    for name, smiles in MOLECULES.items():
        made = embed(parse(smiles))
        out.append(Record(name, smiles, smiles, Geometry(made.numbers, made.positions)))
    return out


def batch_of(objective: MoleBlendPretraining, records: list[Record]) -> MoleculeBatch:
    blank = [""] * len(records)
    views = {v: v.collate([v.featurise(r) for r in records]) for v in objective.views}
    return MoleculeBatch(blank, blank, blank, blank, blank, blank, blank, torch.zeros(len(records), 0), views)


def official_batch(objective: MoleBlendPretraining, batch: MoleculeBatch, inputs: Inputs) -> Batch:
    relations = batch[objective.encoder.graph_view]
    return {
        "x": inputs.atoms, "edge_input": relations.hop_rows(), "spatial_pos": inputs.distances,
        "in_degree": inputs.degrees, "node_type_edge": relations.pair_rows(), "pos": inputs.positions,
    }  # fmt: skip

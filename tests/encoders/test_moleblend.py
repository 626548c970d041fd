import numpy as np
import pytest
import torch

from molfusion.batch import Geometry, Record
from molfusion.chem.parse import canonical, parse
from molfusion.encoders import GIN, MoleBlend, MoleBlendContrast, MoleBlendPretraining, only_relations, restore
from molfusion.encoders.base import NotApplicable
from molfusion.encoders.moleblend import RELATIONS, Blend
from tests import contract

SIZES = {"dim": 32, "layers": 2, "ffn": 32, "heads": 4, "kernels": 8, "reach": 8.0}
OFF = {"attention_dropout": 0.0, "activation_dropout": 0.0, "drop_path": 0.0}
TURN = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(0)))[0]


def tiny(**changes) -> MoleBlend:
    torch.manual_seed(0)
    return MoleBlend(**{**SIZES, **OFF, **changes})


def placed(smiles: str, seed: int = 0) -> Record:
    """Arbitrary coordinates for every atom of the SMILES."""
    mol = parse(smiles)
    numbers = np.array([a.GetAtomicNum() for a in mol.GetAtoms()], np.uint8)
    positions = np.random.default_rng(seed).normal(scale=2.0, size=(len(numbers), 3)).astype(np.float32)
    return Record(smiles, smiles, canonical(mol), Geometry(numbers, positions))


def flat(smiles: str) -> Record:
    """A molecule whose conformer cannot be made."""
    return Record(smiles, smiles, smiles, Geometry(np.array([6], np.uint8), np.full((1, 3), np.nan, np.float32)))


def test_paper_size():
    with torch.device("meta"):
        objective = MoleBlendPretraining(MoleBlend(), compat=True)
    # Published 50,120,106, of which 592,897 are a head that nothing reads and 123 × 32 × 32 hops that no path has.
    assert sum(p.numel() for p in objective.parameters()) == 50_120_106 - 592_897 - 123 * 32 * 32


@pytest.mark.parametrize("relations", [["spd"], ["path"], ["3d"], ["spd", "path"], ["path", "3d"], ["spd", "path", "3d"]])
def test_any_relations_and_nothing_that_they_do_not_need(relations):
    model = tiny(relations=relations)
    contract.check_gradients(model, torch.float32)
    graph = bool({"spd", "path"} & set(relations))
    assert hasattr(model, "in_degree") == graph
    assert (model.space_view in model.views) == ("3d" in relations)


def test_unknown_relations():
    with pytest.raises(ValueError, match="expected at least one of spd, path, 3d"):
        tiny(relations=[])
    with pytest.raises(ValueError, match="relations are \\['distance'\\]"):
        tiny(relations=["distance"])


def test_the_relations_left_are_those_of_a_smaller_model():
    whole, part = tiny(), tiny(relations=["spd", "path"])
    assert part.load_state_dict({k: v for k, v in whole.state_dict().items() if not k.startswith("space")})
    left = only_relations(whole, ["spd", "path"])
    assert left.views == part.views
    batch = contract.collate(left, contract.records())
    assert torch.equal(left.eval()(batch).x, part.eval()(batch).x)
    with pytest.raises(NotApplicable, match="made with spd, path: it has no relation '3d'"):
        only_relations(left, ["3d"])
    with pytest.raises(NotApplicable, match="takes a MoleBlend, not GIN"):
        only_relations(GIN(dim=8, layers=1), ["spd"])


def test_fine_tuning_with_fewer_relations_is_a_config(tmp_path):
    """What a sweep composes: the export of a pretraining, restored, and read by its graph alone."""
    from jsonargparse import ArgumentParser
    from safetensors.torch import save_file

    from molfusion.encoders import Encoder

    save_file(tiny().state_dict(), tmp_path / "encoder.safetensors")
    made = {"class_path": "molfusion.encoders.MoleBlend", "init_args": {**SIZES, **OFF}}
    restored = {"encoder": made, "weights": str(tmp_path / "encoder.safetensors")}
    inner = {"class_path": "molfusion.encoders.restore", "init_args": restored}
    outer = {"class_path": "molfusion.encoders.only_relations", "init_args": {"encoder": inner, "relations": ["3d"]}}
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--encoder", type=Encoder)
    encoder = parser.instantiate_classes(parser.parse_object({"encoder": outer})).encoder
    assert encoder.relations == ("3d",)
    expected = restore(tiny(), tmp_path / "encoder.safetensors").space.out.weight
    assert torch.equal(encoder.space.out.weight, expected)


def test_sandwich_holds_to_the_contract():
    model = tiny(sandwich=True)
    contract.check_gradients(model, torch.float32)
    contract.check_alone(model)
    batch = contract.collate(model, contract.records())
    assert not torch.equal(model(batch).x, tiny()(batch).x)


def test_a_pair_is_told_what_the_blend_says():
    """The bias of a pair is its relation's, by hand, in both directions and for the atom itself."""
    model = tiny().eval()
    batch = contract.collate(model, [placed("CC(=O)N")])
    inputs = model.inputs(batch)
    chosen = torch.tensor([[[0, 1, 2, 0], [2, 1, 0, 1], [1, 2, 2, 0], [0, 0, 1, 2]]])
    bias = model.encode(inputs, Blend(chosen, torch.tensor([[True, False, True, False]]))).bias
    apart = {
        0: model.spd(inputs.distances), 1: model.path(inputs.hops, inputs.distances),
        2: model.space(inputs.positions, inputs.elements, inputs.known).bias,
    }  # fmt: skip
    for i in range(4):
        for j in range(4):
            expected = apart[int(chosen[0, i, j])][0, i, j]
            torch.testing.assert_close(bias[0, :, i, j], expected, atol=1e-6, rtol=1e-5)


def test_path_bias_by_hand():
    """Propane's ends: the two bonds' vectors, each through its own hop's matrix, divided by two."""
    model = tiny().path
    hops = torch.zeros(1, 3, 3, 5, dtype=torch.uint8)
    hops[0, 0, 2, :2] = 1  # single, no stereo, not conjugated
    distances = torch.tensor([[[1, 2, 3], [2, 1, 2], [3, 2, 1]]])
    e = (model.bond.weight[3] + model.bond.weight[515] + model.bond.weight[1027]) / 3
    expected = (e @ model.hop[0] + e @ model.hop[1]) / 2
    out = model(hops, distances)
    torch.testing.assert_close(out[0, 0, 2], expected)
    assert (out[0, 0, 0] == 0).all(), "no path to itself"
    out.sum().backward()
    assert (model.bond.weight.grad[0] == 0).all(), "the row of no bond must not learn"
    assert (model.bond.weight.grad[3] != 0).all()


def test_denoised_vectors_turn_and_tokens_do_not():
    objective = MoleBlendPretraining(tiny()).eval()
    inputs = objective.encoder.inputs(contract.collate(objective.encoder, contract.records()))
    turned = inputs._replace(positions=inputs.positions @ TURN.T + torch.tensor([1.0, -2.0, 3.0]) * inputs.known[..., None])
    out = []
    for some in (inputs, turned):
        states = objective.encoder.encode(some)
        out.append((states.x, objective.heads["denoise"](states.x[:, 1:], states.bias, states.delta)))
    (x, vectors), (x_turned, vectors_turned) = out
    real = inputs.mask
    torch.testing.assert_close(x_turned[:, 1:][real], x[:, 1:][real], atol=1e-4, rtol=1e-4)
    expected = (vectors @ TURN.T)[real]
    assert expected.abs().max() > 1e-4
    torch.testing.assert_close(vectors_turned[real] / expected.abs().max(), expected / expected.abs().max(), atol=1e-3, rtol=1e-3)


def test_the_published_denoising_head_does_not_turn():
    """Why it is not the default: each axis has weights of its own."""
    objective = MoleBlendPretraining(tiny(), compat=True).eval()
    inputs = objective.encoder.inputs(contract.collate(objective.encoder, contract.records()))
    states = objective.encoder.encode(inputs)
    head = objective.heads["denoise"]
    vectors = head(states.x[:, 1:], states.bias, states.delta)[inputs.mask]
    turned = head(states.x[:, 1:], states.bias, states.delta @ TURN.T)[inputs.mask]
    assert (turned - vectors @ TURN.T).norm() > 0.1 * vectors.norm()


ODD = {
    "disconnected": ["[Na+].[Cl-]", "CC(=O)[O-].[NH4+]", "O.O.O"],
    "long": ["C" * 30, "CC"],
    "single atoms": ["C", "[He]", "[Na+]"],
    "dative and unknown bonds": ["[NH3]->[Pt](Cl)Cl", "C~C", "F/C=C/F"],
    "dummy": ["*C", "C"],
}


@pytest.mark.parametrize("compat", [False, True], ids=["default", "compat"])
@pytest.mark.parametrize("name", ODD)
def test_odd_molecules_give_finite_losses(name, compat):
    objective = MoleBlendPretraining(tiny(), compat=compat, granularity="official" if compat else "molecule")
    check_finite(objective, [placed(s, i) for i, s in enumerate(ODD[name])])


def test_an_atom_at_the_origin():
    record = placed("CCO")
    record.geometry.positions[1] = 0.0
    for compat in (False, True):
        objective = MoleBlendPretraining(tiny(), compat=compat)
        check_finite(objective, [record])
        inputs = objective.encoder.inputs(contract.collate(objective.encoder, [record]))
        moved = objective.draw(inputs).noise[0].abs().sum(-1) > 0
        assert moved.tolist() == [True, not compat, True]


def test_atoms_in_one_place():
    record = placed("CCO")
    record.geometry.positions[1] = record.geometry.positions[0]
    check_finite(MoleBlendPretraining(tiny()), [record])


@pytest.mark.parametrize("records", [[flat("CCO"), placed("CCN")], [flat("CCO"), flat("CCCCN")]], ids=["one", "all"])
@pytest.mark.parametrize("granularity", ["molecule", "official"])
@pytest.mark.parametrize("mode", ["blend", "sum"])
def test_molecules_without_a_conformer(records, granularity, mode):
    objective = MoleBlendPretraining(tiny(conformers="optional"), granularity=granularity, mode=mode)
    losses = check_finite(objective, records)
    inputs = objective.encoder.inputs(contract.collate(objective.encoder, records))
    if not inputs.known.any():
        assert losses["direction"] == losses["denoise"] == 0
    else:
        assert losses["denoise"] > 0
    if granularity == "molecule" and mode == "blend":
        draws = objective.draw(inputs)
        assert (draws.blend.relation[0] < 2).all(), "it is told of its graph"
        assert not draws.blend.space[0].any()


def test_without_a_conformer_a_molecule_is_read_as_from_its_graph_alone():
    both, graph = tiny(conformers="optional").eval(), tiny(relations=["spd", "path"]).eval()
    found = both(contract.collate(both, [flat("CCO"), placed("CCN")])).x[0]
    torch.testing.assert_close(found, graph(contract.collate(graph, [flat("CCO")])).x[0], atol=1e-5, rtol=1e-4)


def check_finite(objective, records):
    """Losses and every gradient, in float32 and in bf16."""
    batch = contract.collate(objective.encoder, records)
    for precision in (torch.float32, torch.bfloat16):
        objective.zero_grad()
        with torch.autocast("cpu", precision, enabled=precision != torch.float32):
            losses = objective.losses(batch)
        assert set(losses) == {"spd", "path", "direction", "denoise"}
        assert all(torch.isfinite(v) for v in losses.values()), losses
        sum(losses.values()).backward()
        assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in objective.parameters())
    return losses


def test_contrast_of_graph_and_conformer_learns():
    objective = MoleBlendContrast(tiny(), width=16)
    batch = contract.collate(objective.encoder, contract.records())
    optimizer = torch.optim.AdamW(objective.parameters(), 3e-3)
    first = None
    for _ in range(40):
        loss = objective.losses(batch)["contrast"]
        optimizer.zero_grad()
        loss.backward()
        assert all(p.grad is not None for p in objective.parameters())
        first = first or loss.item()
        optimizer.step()
    assert loss < 0.5 * first
    with pytest.raises(NotApplicable, match="needs both; this encoder has spd, path"):
        MoleBlendContrast(tiny(relations=["spd", "path"]))


def test_where_distances_start():
    even, intended, published = tiny().space, tiny(reach=None).space, tiny(reach=None, kernels=512, compat=True).space
    assert even.means.tolist() == pytest.approx([8 * k / 7 for k in range(8)])
    assert 0 <= intended.means.min() <= intended.means.max() <= 3
    assert intended.mul.weight[1:].unique().tolist() == [1.0]
    assert even.mul.weight[1:].unique().tolist() == [0.5], "two elements a pair: distances as they are"
    assert published.means.std().item() == pytest.approx(0.02, rel=0.2)
    assert published.mul.weight.std().item() == pytest.approx(0.02, rel=0.2)
    for space in (even, intended, published):
        assert space.mul.weight[0].item() == 0


def test_noise_is_for_training_only():
    model = tiny(noise=0.3)
    batch = contract.collate(model, contract.records())
    assert not torch.equal(model.train()(batch).x, model(batch).x)
    assert torch.equal(model.eval()(batch).x, tiny().eval()(batch).x)


def test_relations_are_named_in_the_order_of_a_blend():
    assert RELATIONS == ("spd", "path", "3d")


def test_which_atoms_its_tokens_are():
    """The graph token is none, and an explicit hydrogen has none."""
    assert tiny().token_atoms(flat("C([2H])O")).tolist() == [-1, 0, 2]

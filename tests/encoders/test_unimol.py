import numpy as np
import pytest
import torch

from molfusion.batch import Geometry, Record
from molfusion.encoders import UniMol, UniMolPretraining
from molfusion.encoders.unimol import pair_distances
from tests import contract


def tiny(**changes):
    torch.manual_seed(0)
    return UniMol(**{"dim": 32, "layers": 2, "ffn": 64, "heads": 4, "kernels": 16, "reach": 12.0, **changes})


def test_tokens_of_the_published_dictionary():
    model = tiny()
    numbers = np.array([6, 78, 8, 1], np.uint8)  # C, Pt (not in the dictionary), O, H
    record = Record("a", "C", "C", Geometry(numbers, np.arange(12, dtype=np.float32).reshape(4, 3)))
    inputs = model.inputs(model.view.collate([model.view.featurise(record)]))
    assert inputs.tokens.tolist() == [[1, 4, 3, 6, 2]]  # [CLS] C [UNK] O [SEP], hydrogen gone
    assert inputs.positions[0, 0].tolist() == inputs.positions[0, -1].tolist() == [0, 0, 0]
    assert torch.allclose(inputs.positions[0, 1:-1].mean(0), torch.zeros(3), atol=1e-6)
    assert inputs.pair_types[0, 1, 2] == 4 * 31 + 3


def test_mirror_images_are_one_to_it():
    model = tiny().eval()
    chosen = contract.records()
    mirrored = []
    for r in chosen:
        flipped = Geometry(r.geometry.numbers, r.geometry.positions * np.array([-1, 1, 1], np.float32))
        mirrored.append(Record(r.id, r.smiles, r.canonical, flipped))
    first, second = (model(contract.collate(model, x)) for x in (chosen, mirrored))
    assert torch.equal(first.x[first.mask], second.x[second.mask])  # to the last bit


def test_distances_have_finite_gradients_where_atoms_coincide():
    x = torch.zeros(1, 3, 3, requires_grad=True)
    pair_distances(x).sum().backward()
    assert torch.isfinite(x.grad).all()


def test_pretraining_learns_and_reaches_every_parameter():
    objective = UniMolPretraining(tiny(dropout=0.0))
    batch = contract.collate(objective.encoder, contract.records())
    optimizer = torch.optim.AdamW(objective.parameters(), 3e-3)

    def loss():
        torch.manual_seed(1)  # the same atoms hidden each time
        losses = objective.losses(batch)
        assert set(losses) == {"atom", "coordinate", "distance", "norm"}
        return losses["atom"] + 5 * losses["coordinate"] + 10 * losses["distance"] + 0.01 * losses["norm"]

    first = loss()
    first.backward()
    assert not [n for n, p in objective.named_parameters() if p.grad is None]
    for _ in range(60):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
    assert loss() < 0.6 * first


def test_denoised_coordinates_turn_with_the_molecule():
    objective = UniMolPretraining(tiny()).eval()
    turn = torch.linalg.qr(torch.randn(3, 3))[0]
    positions, real = torch.randn(2, 5, 3), torch.ones(2, 5, dtype=torch.bool)
    delta = torch.randn(2, 5, 5, 4)
    moved = objective._denoised(positions, delta, real)
    torch.testing.assert_close(objective._denoised(positions @ turn, delta, real), moved @ turn, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("numbers", [[6], [1, 1]], ids=["one carbon", "hydrogen"])
def test_smallest_molecules_pretrain_without_nan(numbers):
    objective = UniMolPretraining(tiny())
    geometry = Geometry(np.array(numbers, np.uint8), np.random.default_rng(0).normal(size=(len(numbers), 3)).astype(np.float32))
    record = Record("a", "C", "C", geometry)
    batch = contract.collate(objective.encoder, [record, record])
    assert all(torch.isfinite(v) for v in objective.losses(batch).values())

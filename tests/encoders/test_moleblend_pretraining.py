import pytest
import torch

from molfusion.encoders import MoleBlendPretraining
from molfusion.encoders.moleblend_targets import (
    BOND_CLASSES,
    bond_classes,
    bond_loss,
    denoising_loss,
    direction_loss,
    spd_classes,
    spd_loss,
)
from tests import contract
from tests.encoders.test_moleblend import placed, tiny


def inputs_of(objective, smiles=("CCO", "c1ccccc1C(=O)O")):
    return objective.encoder.inputs(contract.collate(objective.encoder, [placed(s, i) for i, s in enumerate(smiles)]))


def test_one_draw_a_generator():
    objective = MoleBlendPretraining(tiny())
    inputs = inputs_of(objective)
    one, two, three = (objective.draw(inputs, torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    for a, b, c in zip((one.noise, *one.blend), (two.noise, *two.blend), (three.noise, *three.blend), strict=True):
        assert torch.equal(a, b)
        assert not torch.equal(a, c)


def test_without_a_generator_torchs_own_decides():
    """So that a resumed run, whose checkpoint holds that state, draws what it would have drawn."""
    objective = MoleBlendPretraining(tiny())
    inputs = inputs_of(objective)
    torch.manual_seed(3)
    one, two = objective.draw(inputs), objective.draw(inputs)
    torch.manual_seed(3)
    again = objective.draw(inputs)
    assert torch.equal(one.noise, again.noise)
    assert torch.equal(one.blend.relation, again.blend.relation)
    assert not torch.equal(one.blend.relation, two.blend.relation)


@pytest.mark.parametrize("granularity", ["molecule", "official"])
def test_granularity(granularity):
    objective = MoleBlendPretraining(tiny(), granularity=granularity)
    relation = objective.draw(inputs_of(objective)).blend.relation
    symmetric = torch.equal(relation, relation.transpose(1, 2))
    assert (len(relation), symmetric) == ((2, True) if granularity == "molecule" else (1, False))


@pytest.mark.parametrize("blend", [(0.2, 0.2, 0.6), (0.0, 3.0, 1.0), (0.0, 0.0, 1.0), (0.7, 0.2, 0.1)])
@pytest.mark.parametrize("granularity", ["molecule", "official"])
def test_shares_of_a_blend(blend, granularity):
    """Any that are not negative; the published code falls back to 0.2, 0.2, 0.6 for (0.7, 0.2, 0.1)."""
    objective = MoleBlendPretraining(tiny(), blend=blend, granularity=granularity)
    inputs = inputs_of(objective, ["C" * 60] * 4)
    relation = objective.draw(inputs, torch.Generator().manual_seed(0)).blend.relation
    found = torch.bincount(relation.flatten(), minlength=3) / relation.numel()
    torch.testing.assert_close(found, torch.tensor(blend) / sum(blend), atol=0.03, rtol=0)


def test_shares_of_relations_that_are_not_there_go_to_the_others():
    objective = MoleBlendPretraining(tiny(relations=["spd", "3d"]), blend=(0.2, 0.2, 0.6))
    relation = objective.draw(inputs_of(objective, ["C" * 60])).blend.relation
    assert not (relation == 1).any()
    assert 0.2 < (relation == 0).float().mean() < 0.3
    with pytest.raises(ValueError, match="one of path above 0"):
        MoleBlendPretraining(tiny(relations=["path"]), blend=(1.0, 0.0, 0.0))
    with pytest.raises(ValueError, match="none negative"):
        MoleBlendPretraining(tiny(), blend=(1.0, -0.5, 0.5))


def test_losses_of_relations_that_are_not_there_are_left_out():
    batch = [placed("CCO")]
    names = {
        ("spd", "path"): {"spd", "path"}, ("3d",): {"direction", "denoise"}, ("spd", "3d"): {"spd", "direction", "denoise"},
    }  # fmt: skip
    for relations, expected in names.items():
        objective = MoleBlendPretraining(tiny(relations=relations))
        assert set(objective.losses(contract.collate(objective.encoder, batch))) == expected


def test_spd_classes():
    distances = torch.tensor([[[1, 2, 11, 12, 21, 300, 511, 0]]])
    assert spd_classes(distances).tolist() == [[[-100, 0, 9, 10, 10, 10, -100, -100]]]


def test_bond_classes():
    """A code is 1 + type * 12 + stereo * 2 + conjugated."""
    code = {"single": 1, "double Z": 1 + 12 + 2, "aromatic": 1 + 36 + 1, "dative": 1 + 48, "triple": 1 + 24, "ANY": 1 + 12 + 10}
    hops = torch.tensor(list(code.values())).view(1, 1, -1, 1).expand(1, 1, -1, 5).clone()
    hops[..., 1:] = 0
    assert bond_classes(hops)[0, 0, 0].tolist() == [0, 6 + 2, 18 + 1, -100, 12, -100]
    assert bond_classes(hops, compat=True)[0, 0, 0].tolist() == [0, 8, 19, -100, 12, 6 + 10]
    assert (bond_classes(hops)[0, 0, 1:] == -100).all(), "the path is over"


def test_losses_by_hand():
    distances = torch.tensor([[[1, 2], [2, 1]]])
    logits = torch.zeros(1, 2, 11, 2)
    torch.testing.assert_close(spd_loss(logits, distances), torch.tensor(11.0).log())
    hops = torch.zeros(1, 2, 2, 5, dtype=torch.uint8)
    hops[0, 0, 1, 0] = hops[0, 1, 0, 0] = 1
    torch.testing.assert_close(bond_loss(torch.zeros(1, 2, 5 * BOND_CLASSES, 2), hops), torch.tensor(24.0).log())
    positions = torch.tensor([[[1.0, 0, 0], [2.0, 0, 0]]])
    known = torch.ones(1, 2, dtype=torch.bool)
    right = torch.zeros(1, 2, 3, 2)
    right[0, 0, 0, 1], right[0, 1, 0, 0] = 1.0, -5.0  # from the first to the second along +x, and back
    assert direction_loss(right, positions, known).item() == pytest.approx(0, abs=1e-6)
    assert direction_loss(-right, positions, known).item() == pytest.approx(2, abs=1e-6)
    assert direction_loss(right, positions, ~known) == 0
    noise = torch.tensor([[[1.0, 0, 0], [0, 1.0, 0]], [[0, 0, 1.0], [0, 0, 1.0]]])
    predicted = torch.tensor([[[2.0, 0, 0], [0, -1.0, 0]], [[0, 3.0, 0], [0, 0, 0]]])
    asked = torch.tensor([[True, True], [True, False]])
    assert denoising_loss(predicted, noise, asked).item() == pytest.approx((0 + 2 + 1) / 3)
    assert denoising_loss(predicted, noise, asked, by_molecule=True).item() == pytest.approx(1 + 1)
    assert denoising_loss(predicted, noise, torch.zeros_like(asked)) == 0


def test_everything_learns_and_every_parameter_with_it():
    objective = MoleBlendPretraining(tiny(), noise=0.3)
    batch = contract.collate(objective.encoder, [placed("CC(=O)Oc1ccccc1C(=O)O"), placed("C/C=C/C#N", 1)])
    optimizer = torch.optim.AdamW(objective.parameters(), 3e-3)

    def losses():
        return objective.losses(batch, torch.Generator().manual_seed(0))

    first = losses()
    sum(first.values()).backward()
    assert not [n for n, p in objective.named_parameters() if p.grad is None]
    for _ in range(60):
        optimizer.zero_grad()
        sum(losses().values()).backward()
        optimizer.step()
    last = losses()
    assert all(last[name] < 0.7 * first[name] for name in first), (first, last)


def test_validation_has_all_losses():
    """The published code makes its pair heads' logits in training only."""
    objective = MoleBlendPretraining(tiny()).eval()
    with torch.no_grad():
        losses = objective.losses(contract.collate(objective.encoder, contract.records()))
    assert set(losses) == {"spd", "path", "direction", "denoise"}


def test_no_outer_product_is_kept_or_made():
    """Nothing in a pair head is as large as the [B, N, N, 1024] products of the published one."""
    from torch.utils._python_dispatch import TorchDispatchMode

    largest = 0

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            nonlocal largest
            out = func(*args, **(kwargs or {}))
            for x in out if isinstance(out, tuple | list) else [out]:
                if isinstance(x, torch.Tensor):
                    largest = max(largest, x.numel())
            return out

    objective = MoleBlendPretraining(tiny())
    x = torch.randn(2, 64, 32, requires_grad=True)
    with Watch():
        sum(objective.heads[name](x).sum() for name in ("spd", "path", "direction")).backward()
    assert largest <= 2 * 64 * 64 * 120  # the logits of the bonds
    assert largest < 2 * 64 * 64 * 1024 / 8

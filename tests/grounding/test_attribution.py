import numpy as np
import pytest
import torch

from molfusion.batch import Geometry, Record
from molfusion.chem.parse import parse
from molfusion.encoders import E3FPTokens, Fingerprint, Frozen
from molfusion.encoders.base import NotApplicable
from molfusion.grounding import Watch, ground
from molfusion.grounding.attribution import by_shell
from molfusion.grounding.scores import predicted, rightness
from molfusion.views.e3fp import E3FPView
from tests.contract import records
from tests.grounding.helpers import batch_of, fused, probe


def linear():
    """y = mean over the tokens of their first component, which only an alanine's nitrogen has."""
    encoder = E3FPTokens(2, shells=E3FPView(level=1))
    task = probe(encoder, head=[1.0, 0.0])
    chosen = [records()[3]]  # N[C@@H](C)C(=O)O
    batch, _ = batch_of(task, chosen)
    nitrogen = int(batch[encoder.shells].ids[0, 0, 0])
    with torch.no_grad():
        encoder.table.weight.zero_()
        encoder.table.weight[nitrogen + 1, 0] = 6.0
    return task, batch, chosen


def test_the_only_atom_that_counts():
    task, batch, chosen = linear()
    assert rightness(task, batch).item() == pytest.approx(-2.5)  # 6 atoms × 2 levels: mean 0.5, measured 3
    (found,) = ground(task, batch, chosen)
    assert found.smiles == "N[C@@H](C)C(=O)O"
    assert found.rightness == pytest.approx(-2.5)
    # Linear: exactly what the token adds. It brings the answer nearer to 3, so it counts for it.
    assert found.shells.shape == (6, 2)
    assert found.shells[0, 0] == pytest.approx(0.5)
    assert np.abs(found.shells).sum() == pytest.approx(0.5)
    assert found.atoms.tolist() == pytest.approx([0.5, 0, 0, 0, 0, 0])
    assert found.pictures == []


def test_what_a_model_predicts_needs_no_right_answer():
    task, batch, chosen = linear()
    batch.targets[:] = torch.nan
    (found,) = ground(task, batch, chosen, score=predicted)
    assert found.rightness == pytest.approx(0.5)
    assert found.atoms.tolist() == pytest.approx([0.5, 0, 0, 0, 0, 0])
    (nothing,) = ground(task, batch, chosen)
    assert not nothing.atoms.any()


def test_a_shell_shares_its_weight_among_its_atoms():
    encoder = E3FPTokens(2, shells=E3FPView(level=1))
    task = probe(encoder, head=[1.0, 0.0])
    numbers = np.array([6, 6, 8], np.uint8)
    positions = np.array([[0, 0, 0], [1.5, 0, 0], [2.0, 1.4, 0]], np.float32)
    ethanol = Record("e", "CCO", "CCO", Geometry(numbers, positions), targets=(9.0,))
    batch, chosen = batch_of(task, [ethanol])
    ids = batch[encoder.shells].ids[0]  # level 1: C with C; C with C and O; O with C
    with torch.no_grad():
        encoder.table.weight.zero_()
        encoder.table.weight[int(ids[0, 1]) + 1, 0] = 6.0
        encoder.table.weight[int(ids[1, 1]) + 1, 0] = 18.0
    (found,) = ground(task, batch, chosen)
    assert found.shells.tolist() == [[0, 1], [0, 3], [0, 0]]  # of 6 tokens
    assert found.atoms.tolist() == pytest.approx([0.5 + 1, 0.5 + 1, 1])


def test_what_leads_astray_is_negative():
    task, batch, chosen = linear()
    batch.targets[:] = -1.0
    (found,) = ground(task, batch, chosen)
    assert found.atoms[0] == pytest.approx(-0.5)


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("crops", ["off", "auto"])
def test_a_fusion_has_weights_on_both_sides(frozen, crops):
    task = probe(fused(frozen=frozen, crops=crops))
    batch, chosen = batch_of(task)
    found = ground(task, batch, chosen)
    for g, record in zip(found, chosen, strict=True):
        assert len(g.atoms) == record.geometry.numbers.shape[0]
        assert np.isfinite(g.atoms).all()
        shapes = [p.shape for p in g.pictures]
        assert shapes == list(task.encoder.query.encoder.grids if frozen else task.encoder.query.grids)
        assert any(np.abs(p).sum() > 0 for p in g.pictures)
    assert np.abs(found[3].atoms).sum() > 0
    assert not any(m._forward_hooks for m in task.modules()), "a hook was left behind"


def test_under_a_frozen_fusion():
    task = probe(Frozen(fused()))
    batch, chosen = batch_of(task)
    free = probe(task.encoder.encoder)
    free.load_state_dict({k.replace("encoder.encoder.", "encoder."): v for k, v in task.state_dict().items()})
    for mine, theirs in zip(ground(task, batch, chosen), ground(free, batch, chosen), strict=True):
        assert mine.atoms.tolist() == pytest.approx(theirs.atoms.tolist(), abs=1e-7)
    assert all(not p.requires_grad for p in task.encoder.parameters())
    assert not task.encoder(batch).x.requires_grad, "still thawed"


def test_attention_reads_as_it_is_told():
    """Every token of the picture is made to read the nitrogen and nothing else."""
    fusion = fused()
    task = probe(fusion)
    chosen = [records()[3]]
    batch, _ = batch_of(task, chosen)
    ids = batch[fusion.context.shells].ids[0]
    attention, table = fusion.layers[0].attention, fusion.context.table
    with torch.no_grad():
        table.weight[1:] = 0.0
        table.weight[int(ids[0, 0]) + 1] = 1.0
        fusion.projection.weight.zero_()
        fusion.projection.bias.fill_(1.0)
        attention.in_proj_weight.copy_(torch.eye(8).repeat(3, 1) * 10)
        attention.in_proj_bias.zero_()
    (found,) = ground(task, batch, chosen, "attention")
    assert found.shells[0, 0] == pytest.approx(1.0, abs=1e-6)
    assert found.shells.sum() == pytest.approx(1.0)
    assert found.pictures == []


def test_joint_tokens_in_the_order_of_the_atoms():
    encoder = E3FPTokens(2, "joint", E3FPView(level=1))
    task = probe(encoder, head=[1.0, 0.0])
    batch, chosen = batch_of(task)
    with torch.no_grad():
        encoder.words.weight.zero_()
        encoder.table.weight.zero_()
        salt = batch[encoder.shells].ids[5]  # [Na+].[Cl-]: rows of Cl, dot, Na or the other way round
        chlorine_row = 0 if encoder.selfies.tokens(parse("[Na+].[Cl-]"))[0].startswith("[Cl") else 2
        encoder.table.weight[int(salt[chlorine_row, 0]) + 1, 0] = 1.0
    found = ground(task, batch, chosen)
    assert found[5].atoms[1] != 0  # chlorine is the second atom of the SMILES
    assert found[5].atoms[0] == 0


def test_bag_and_joint_places():
    assert by_shell(np.arange(6.0), 2, 2, "bag").tolist() == [[0, 1], [2, 3]]
    assert by_shell(np.array([9.0, 2, 4, 9]), 2, 2, "joint").tolist() == [[1, 1], [2, 2]]


def test_what_cannot_be_pointed_at():
    with pytest.raises(NotApplicable, match=r"stand for atoms .* encoders are: Fingerprint. .* token_atoms"):
        Watch(probe(Fingerprint(dim=8, hidden=8, bits=64)))
    with pytest.raises(NotApplicable, match="sides: selfies"):
        Watch(probe(E3FPTokens(8, "joint", sides="selfies")))
    task = probe(E3FPTokens(8))
    with pytest.raises(NotApplicable, match="take the gradient"):
        ground(task, *batch_of(task), "attention")

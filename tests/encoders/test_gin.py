import torch

from molfusion.encoders import GIN
from tests import contract


def test_a_self_loop_of_its_own_unless_compat():
    torch.manual_seed(0)
    ours, theirs = GIN(dim=16, layers=2).eval(), GIN(dim=16, layers=2, compat=True).eval()
    theirs.load_state_dict(ours.state_dict())
    batch = contract.collate(ours, contract.records())
    assert not torch.allclose(ours(batch).x, theirs(batch).x)


def test_one_token_an_atom():
    model = GIN(dim=8, layers=1).eval()
    tokens = model(contract.collate(model, contract.records()))
    assert tokens.mask.sum(1).tolist() == [3, 9, 1, 6, 10, 2]
    assert [len(model.token_atoms(r)) for r in contract.records()] == [3, 9, 1, 6, 10, 2]

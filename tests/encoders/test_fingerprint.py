from molfusion.encoders import Fingerprint
from tests import contract


def test_one_token_a_molecule():
    model = Fingerprint(dim=8, hidden=16, bits=64)
    tokens = model(contract.collate(model, contract.records()))
    assert tokens.x.shape == (6, 1, 8)
    assert tokens.mask.all()

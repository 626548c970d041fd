import pytest
import torch
from rdkit import Chem

from molfusion.batch import MoleculeBatch, Record
from molfusion.encoders import HierEncoder
from tests.motifs import write_vocabulary


def tokens(encoder, smiles):
    view = encoder.view
    given = view.collate([view.featurise(Record("", s, "")) for s in smiles])
    return encoder(MoleculeBatch(*[[""] * len(smiles)] * 7, torch.zeros(len(smiles), 0), {view: given}))


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_order_of_atoms_does_not_matter(cell):
    torch.manual_seed(0)
    encoder = HierEncoder(24, 16, atom_rounds=4, motif_rounds=6, cell=cell, tokens="both").eval()
    mol = Chem.MolFromSmiles("CC(=O)Oc1ccccc1C(=O)O")
    expected = tokens(encoder, [Chem.MolToSmiles(mol)]).x
    order = torch.randperm(mol.GetNumAtoms(), generator=torch.Generator().manual_seed(0)).tolist()
    other = Chem.MolToSmiles(Chem.RenumberAtoms(mol, order), canonical=False)
    torch.testing.assert_close(tokens(encoder, [other]).x, expected)


def test_tokens():
    torch.manual_seed(0)
    smiles = ["CCO", "[Na+].CC(=O)[O-]", "C"]
    root, motifs, both = (HierEncoder(24, 16, atom_rounds=3, motif_rounds=3, tokens=t) for t in ("root", "motifs", "both"))
    assert tokens(root, smiles).x.shape == (3, 1, 24)
    out = tokens(motifs, smiles)
    assert out.mask.sum(1).tolist() == [2, 5, 1], "bonds, the sodium, and the atom where three bonds meet"
    assert not out.x[~out.mask].any()
    assert tokens(both, smiles).mask.sum(1).tolist() == [3, 6, 2]


def test_a_salt_is_the_mean_of_its_parts():
    torch.manual_seed(0)
    encoder = HierEncoder(24, 16, atom_rounds=3, motif_rounds=3).eval()
    salt, *parts = (tokens(encoder, [s]).x for s in ("[Na+].CC(=O)[O-]", "[Na+]", "CC(=O)[O-]"))
    torch.testing.assert_close(salt, sum(parts) / 2)


def test_more_rounds_see_further(tmp_path):
    """The far end of a chain changes the root only after as many rounds as there are motifs between."""
    smiles = ["OCCCCCCCC", "OCCCCCCCF"]
    path = write_vocabulary(tmp_path, True, smiles)  # as released, the first motif is the first atom's
    for rounds, sees in ((2, False), (12, True)):
        torch.manual_seed(0)
        encoder = HierEncoder(24, 16, path, atom_rounds=1, motif_rounds=rounds).eval()
        a, b = (tokens(encoder, [s]).x for s in smiles)
        assert (not torch.equal(a, b)) == sees

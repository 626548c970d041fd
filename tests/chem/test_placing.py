import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import AllChem

from molfusion.chem.parse import ChemError
from molfusion.chem.placing import placed


def embedded(smiles):
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    assert AllChem.EmbedMolecule(mol, randomSeed=3) == 0
    return [a.GetAtomicNum() for a in mol.GetAtoms()], mol.GetConformer().GetPositions()


@pytest.mark.parametrize(
    "smiles",
    ["CCO", "CC(=O)O", "C[C@H](N)C(=O)O", "c1ccc2[nH]ccc2c1", "C/C=C/C(=O)N(C)C", "C[N+](C)(C)CC([O-])=O", "FC(F)(F)c1ccccn1",
     "C[C@@H]1CC[C@H](C)C1", "CS(=O)(=O)c1ccccc1", "N#Cc1ccc(Cl)cc1"],
)  # fmt: skip
def test_shuffled_atoms_are_put_back(smiles):
    """Distances between heavy atoms are those of a molecule embedded in the SMILES's own order, up to its symmetry."""
    numbers, places = embedded(smiles)
    mol = Chem.MolFromSmiles(smiles)
    heavy = mol.GetNumAtoms()
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(len(numbers))
        found = placed(smiles, [numbers[i] for i in order], places[order])
        assert sorted(found) == list(range(len(numbers)))
        back = [int(order[i]) for i in found]  # place -> original atom
        assert all(numbers[i] != 1 for i in back[:heavy])
        # The permutation must be an automorphism of the molecule with its hydrogens and stereo.
        full = Chem.AddHs(mol)
        moved = Chem.RenumberAtoms(full, [*back[:heavy], *range(heavy, full.GetNumAtoms())])
        for i in range(heavy):
            assert moved.GetAtomWithIdx(i).GetTotalNumHs(includeNeighbors=True) == full.GetAtomWithIdx(i).GetTotalNumHs(
                includeNeighbors=True
            )
        assert {tuple(sorted((b.GetBeginAtomIdx(), b.GetEndAtomIdx()))) for b in Chem.RemoveHs(moved).GetBonds()} == {
            tuple(sorted((b.GetBeginAtomIdx(), b.GetEndAtomIdx()))) for b in mol.GetBonds()
        }


def test_order_of_the_smiles_stays_but_for_hydrogens():
    numbers, places = embedded("OCC")
    assert placed("OCC", numbers, places) == list(range(len(numbers)))


@pytest.mark.parametrize(
    ("smiles", "why"), [("CCN", "other atoms"), ("COC", "other bonds"), ("C1CC", "not a SMILES"), ("CO", "other atoms")]
)
def test_another_molecule_is_refused(smiles, why):
    numbers, places = embedded("CCO")
    with pytest.raises(ChemError, match=why):
        placed(smiles, numbers, places)

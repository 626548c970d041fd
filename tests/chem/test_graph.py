import numpy as np
from rdkit import Chem

from molfusion.chem.graph import ATOM_SIZES, BOND_SIZES, graph
from molfusion.chem.parse import parse


def test_hand_checked_ethanol():
    found = graph(parse("CCO"))
    # element - 1, chirality, degree with H, charge + 5, H, radicals, hybridisation (sp3 = 2), aromatic, in ring
    assert found.atoms.tolist() == [
        [5, 0, 4, 5, 3, 0, 2, 0, 0],
        [5, 0, 4, 5, 2, 0, 2, 0, 0],
        [7, 0, 2, 5, 1, 0, 2, 0, 0],
    ]
    assert found.bonds.tolist() == [[0, 0, 0]] * 4
    assert found.edges.tolist() == [[0, 1], [1, 0], [1, 2], [2, 1]]


def test_stereo_and_aromatic():
    acid = graph(parse("C/C=C/[C@@H](N)O"))
    assert acid.bonds[2].tolist() == [1, 2, 0]  # the double bond: type 1, stereo E
    assert acid.atoms[3, 1] in {1, 2}
    ring = graph(parse("c1ccccc1"))
    assert (ring.bonds[:, 0] == 3).all()
    assert (ring.bonds[:, 2] == 1).all()


def test_odd_atoms_stay_in_range():
    for smiles in ("[*]C", "[Fe+6]", "[U]", "F[P-](F)(F)(F)(F)F", "[O]", "[Cl-].[Na+]", "[NH3][Pt](Cl)(Cl)[NH3]", "[2H]C"):
        mol = Chem.MolFromSmiles(smiles, sanitize=False) or parse(smiles)
        Chem.SanitizeMol(mol, catchErrors=True)
        found = graph(mol)
        assert (found.atoms < np.array(ATOM_SIZES)).all(), smiles
        assert (found.bonds < np.array(BOND_SIZES)).all(), smiles
    assert graph(parse("[*]C")).atoms[0, 0] == 118


def test_a_single_atom_has_no_bonds():
    found = graph(parse("C"))
    assert found.bonds.shape == (0, 3)
    assert found.edges.shape == (0, 2)

import numpy as np
import pytest
from rdkit import Chem

from molfusion.chem.conformer import embed
from molfusion.chem.parse import ChemError, parse


def distances(conformer):
    p = conformer.positions.astype(np.float64)
    return np.linalg.norm(p[:, None] - p[None], axis=-1)


def test_heavy_atoms_first_in_the_order_given():
    found = embed(parse("OCCN"))
    assert found.numbers.tolist()[:4] == [8, 6, 6, 7]
    assert set(found.numbers.tolist()[4:]) == {1}
    assert found.rung == "etkdg"
    for i, j in ((0, 1), (1, 2), (2, 3)):  # bonded in the SMILES, bonded in space
        assert 1.3 < distances(found)[i, j] < 1.6


def test_same_molecule_same_shape_however_it_is_spelled():
    spellings = ["CC(N)C(=O)OCC", "CCOC(=O)C(C)N", "O=C(OCC)C(C)N"]
    found = [np.sort(distances(embed(parse(s)))[: parse(s).GetNumAtoms()].ravel()) for s in spellings]
    for other in found[1:]:
        np.testing.assert_allclose(other, found[0], atol=1e-5)


def test_same_seed_same_coordinates_another_seed_others():
    mol = parse("CCCCCO")
    assert np.array_equal(embed(mol).positions, embed(mol).positions)
    assert not np.array_equal(embed(mol).positions, embed(mol, seed=1).positions)


def test_stereo_is_kept():
    for smiles in ("N[C@@H](C)C(=O)O", "N[C@H](C)C(=O)O", "C/C=C\\C", "C/C=C/C"):
        found = embed(parse(smiles))
        mol = Chem.AddHs(parse(smiles))
        conformer = Chem.Conformer(mol.GetNumAtoms())
        for i, (x, y, z) in enumerate(found.positions.tolist()):
            conformer.SetAtomPosition(i, (x, y, z))
        bare = Chem.Mol(mol)
        bare.RemoveAllConformers()
        bare.AddConformer(conformer)
        Chem.AssignStereochemistryFrom3D(bare)
        assert Chem.MolToSmiles(Chem.RemoveHs(bare)) == Chem.CanonSmiles(smiles)


@pytest.mark.parametrize("smiles", ["C", "[Na+].[Cl-]", "[H][H]", "[2H]OC", "CC(C)(C)c1ccc(O)cc1.Cl", "[CH3]"])
def test_odd_molecules_embed(smiles):
    mol = parse(smiles)
    found = embed(mol)
    assert len(found.numbers) >= mol.GetNumAtoms()
    assert np.isfinite(found.positions).all()


def test_one_that_never_embeds_is_refused():
    with pytest.raises(ChemError, match="no conformer"):
        embed(parse("C[C@H]1[C@@H]2[C@H]1[C@H]2C"))  # a bicyclobutane with impossible stereo


def test_mmff_lowers_the_energy_and_moves_atoms():
    mol = parse("CCCC(=O)NC")
    assert not np.allclose(embed(mol).positions, embed(mol, optimise="mmff").positions, atol=0.01)


def test_too_many_heavy_atoms_are_refused_before_any_work():
    with pytest.raises(ChemError, match=r"257 heavy atoms; coordinates are embedded up to 256 \(max_embedded\)"):
        embed(parse("C" * 257))
    with pytest.raises(ChemError, match="3 heavy atoms"):
        embed(parse("CCO"), max_heavy=2)
    assert len(embed(parse("[2H]C([2H])[2H]"), max_heavy=1).numbers) == 5  # hydrogens do not count


def test_attempts_are_counted_not_timed(monkeypatch):
    """What a machine is busy with cannot change the result; large molecules get fewer attempts, as each is dear."""
    asked = []

    def refuses(mol, parameters):
        asked.append((parameters.useRandomCoords, parameters.maxIterations, parameters.timeout))
        return -1

    monkeypatch.setattr("molfusion.chem.conformer.dg.EmbedMolecule", refuses)
    for n, attempts in ((128, 10), (129, 3)):
        asked.clear()
        with pytest.raises(ChemError, match="no conformer"):
            embed(parse("C" * n))
        assert asked == [(False, attempts, 0), (True, attempts, 0)]

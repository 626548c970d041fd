import numpy as np
import pytest

from molfusion.batch import Geometry, Record
from molfusion.chem.parse import canonical, parse
from molfusion.views import ConformerView, ViewError


def record(smiles, geometry=None):
    return Record("r", smiles, canonical(parse(smiles)), geometry)


WATER = Geometry(np.array([8, 1, 1], np.uint8), np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], np.float32))


def test_the_sources_own_geometry_is_used():
    found = ConformerView(hydrogens=True).featurise(record("O", WATER))
    assert found["numbers"].tolist() == [8, 1, 1]
    assert np.array_equal(found["positions"], WATER.positions)


def test_hydrogens_go_unless_there_is_nothing_else():
    assert ConformerView().featurise(record("O", WATER))["numbers"].tolist() == [8]
    hydrogen = Geometry(np.array([1, 1], np.uint8), np.array([[0, 0, 0], [0.74, 0, 0]], np.float32))
    assert ConformerView().featurise(record("[H][H]", hydrogen))["numbers"].tolist() == [1, 1]


def test_a_large_molecule_is_cropped_the_same_way_each_time():
    view = ConformerView(max_atoms=5)
    first, second = (view.featurise(record("CCCCCCCCCC")) for _ in range(2))
    assert len(first["numbers"]) == 5
    assert np.array_equal(first["positions"], second["positions"])


def test_collate_pads():
    view = ConformerView()
    batch = view.collate([view.featurise(record("O", WATER)), view.featurise(record("CC"))])
    assert batch.numbers.tolist() == [[8, 0], [6, 6]]
    assert batch.mask.tolist() == [[True, False], [True, True]]
    assert batch.positions[0, 1].tolist() == [0, 0, 0]


def test_what_never_embeds_has_no_view():
    with pytest.raises(ViewError, match="no conformer"):
        ConformerView().featurise(record("C[C@H]1[C@@H]2[C@H]1[C@H]2C"))


def test_a_coordinate_that_is_no_number_is_refused():
    broken = Geometry(WATER.numbers, np.full((3, 3), np.nan, np.float32))
    with pytest.raises(ViewError, match="not a finite"):
        ConformerView().featurise(record("O", broken))


def test_settings_are_identity():
    assert ConformerView() == ConformerView()
    assert ConformerView().name() == ConformerView().name()
    assert ConformerView().name() != ConformerView(seed=1).name()
    assert ConformerView().key(record("O")) != ConformerView().key(record("O", WATER))


def test_which_atoms_of_the_smiles_they_are():
    """H2O2's hydrogens stand apart; a deuterium that the SMILES writes is an atom of its own, and no heavy one."""
    numbers = np.array([8, 1, 8, 1], np.uint8)
    positions = np.array([[0, 0, 0], [-0.9, 0, 0], [1.5, 0, 0], [2.4, 0, 0]], np.float32)
    given = record("O([2H])O", Geometry(numbers, positions))
    assert ConformerView(hydrogens=True).atoms(given).tolist() == [0, 1, 2, 2]
    assert ConformerView().atoms(given).tolist() == [0, 2]
    assert ConformerView().atoms(record("OCC")).tolist() == [0, 1, 2]
    hydrogens = ConformerView(hydrogens=True).atoms(record("OCC")).tolist()  # embedded
    assert [hydrogens.count(k) for k in range(3)] == [1 + 1, 1 + 2, 1 + 3]


def test_which_atoms_are_left_of_a_cropped_molecule():
    view = ConformerView(max_atoms=4)
    long = record("OCCN(C)CCF")
    kept = view.atoms(long)
    elements = [parse("OCCN(C)CCF").GetAtomWithIdx(int(k)).GetAtomicNum() for k in kept]
    assert elements == view.featurise(long)["numbers"].tolist()
    assert len(set(kept.tolist())) == 4

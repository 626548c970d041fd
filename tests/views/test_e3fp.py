import numpy as np
import pytest

from molfusion.batch import Geometry, Record
from molfusion.chem.parse import canonical, parse
from molfusion.views import ViewError
from molfusion.views.e3fp import E3FPView
from molfusion.views.selfies import SelfiesView


def record(smiles, positions=None):
    mol = parse(smiles)
    numbers = np.array([a.GetAtomicNum() for a in mol.GetAtoms()], np.uint8)
    geometry = None if positions is None else Geometry(numbers, np.asarray(positions, np.float32))
    return Record("r", smiles, canonical(mol), geometry)


ETHANOL = [[0, 0, 0], [1.5, 0, 0], [2.0, 1.4, 0]]


def test_collate_pads_with_no_shell():
    view = E3FPView()
    batch = view.collate([view.featurise(record("C", [[0, 0, 0]])), view.featurise(record("CCO", ETHANOL))])
    assert batch.ids.shape == (2, 3, 4)
    assert batch.ids[0].tolist() == [[1048, -1, -1, -1], [-1] * 4, [-1] * 4]
    assert batch.mask.tolist() == [[True, False, False], [True] * 3]
    assert batch.ids[1].max() < 4096
    assert (batch.ids[1, :, :2] >= 0).all()


def test_the_sources_geometry_or_one_of_our_own():
    view = E3FPView()
    bent = [[0, 0, 0], [1.5, 0, 0], [3.0, 0.1, 0]]
    assert not np.array_equal(view.featurise(record("CCO", ETHANOL))["ids"], view.featurise(record("CCO", bent))["ids"])
    long = "CC(C)CC(N)C(=O)NC(C)C(=O)O"
    own = [view.featurise(record(long))["ids"] for view in (view, view, E3FPView(seed=3))]
    assert np.array_equal(own[0], own[1])
    assert not np.array_equal(own[0], own[2])


@pytest.mark.parametrize("rows", ["atoms", "selfies"])
def test_backends_agree(rows):
    smiles = "C[C@H](N)C(=O)NCc1ccccc1.Cl"
    views = [E3FPView(rows=rows, merge=rows == "selfies", backend=b) for b in ("ours", "package")]
    found = [view.featurise(record(smiles))["ids"] for view in views]
    assert np.array_equal(*found)


def test_rows_of_selfies():
    given = record("CC(=O)C.O", [[0, 0, 0], [1.5, 0, 0], [2.1, 1.1, 0], [2.2, -1.2, 0.1], [7, 0, 0]])
    names = SelfiesView().tokens(parse(given.smiles))
    by_atom, by_token = E3FPView().featurise(given)["ids"], E3FPView(rows="selfies").featurise(given)["ids"]
    assert len(by_token) == len(names)
    assert names == ["[C]", "[C]", "[Branch1]", "[C]", "[C]", "[=O]", ".", "[O]"]
    # The branch, its length and the dot stand for no atom.
    assert [i for i, row in enumerate(by_token) if (row == -1).all()] == [2, 3, 6]
    assert sorted(by_token[(by_token != -1).any(1)].tolist()) == sorted(by_atom.tolist())
    assert by_token[5].tolist() == by_atom[2].tolist()
    assert by_token[7].tolist() == by_atom[4].tolist()


def test_small_numbers_are_stored():
    assert E3FPView().featurise(record("C", [[0, 0, 0]]))["ids"].dtype == np.int16
    assert E3FPView(bits=1 << 20).featurise(record("C", [[0, 0, 0]]))["ids"].dtype == np.int32


@pytest.mark.parametrize(
    ("smiles", "positions", "reason"),
    [
        ("[NH3]->[Pt]", [[0, 0, 0], [2, 0, 0]], "not DATIVE"),
        ("[H][H]", [[0, 0, 0], [0.7, 0, 0]], "describes no atom"),
        ("C", [[np.nan, 0, 0]], "not a finite number"),
        ("C[C@H]1[C@@H]2[C@H]1[C@H]2C", None, "no conformer"),
    ],
)
def test_refused_with_a_reason(smiles, positions, reason):
    with pytest.raises(ViewError, match=reason):
        E3FPView().featurise(record(smiles, positions))


def test_what_has_no_selfies_has_no_such_rows():
    dummy = record("*C", [[0, 0, 0], [1.5, 0, 0]])
    assert E3FPView().featurise(dummy)["ids"].shape == (2, 4)
    with pytest.raises(ViewError, match="no SELFIES"):
        E3FPView(rows="selfies").featurise(dummy)


def test_a_chain_of_300():
    zigzag = [[1.25 * i, 0.45 * (i % 2), 0] for i in range(300)]
    found = E3FPView().featurise(record("C" * 300, zigzag))["ids"]
    assert found.shape == (300, 4)
    assert len(np.unique(found[10:-10], axis=0)) <= 2  # the middle looks alike everywhere, but for which side is which


@pytest.mark.parametrize("smiles", ["[Na+].[Cl-]", "[CH3]", "[2H]OC", "[13CH4]", "[Fe]", "[He]"])
def test_odd_molecules(smiles):
    found = E3FPView().featurise(record(smiles))["ids"]
    heavy = [a.GetAtomicNum() > 1 for a in parse(smiles).GetAtoms()]
    assert (found[:, 0] >= 0).tolist() == heavy


def test_settings_are_identity():
    assert E3FPView().name() == E3FPView().name()
    assert len({v.name() for v in (E3FPView(), E3FPView(merge=True), E3FPView(bits=2048), E3FPView(rows="selfies"))}) == 4

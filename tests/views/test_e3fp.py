from dataclasses import replace

import numpy as np
import pytest

from molfusion.batch import Geometry, Record
from molfusion.chem.parse import canonical, parse
from molfusion.data.prepare import prepare
from molfusion.data.store import ViewStore, ledger_table
from molfusion.views import ViewError
from molfusion.views.conformer import EmbeddingView
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


# -- harm done to conformers, and what is left where E3FP has nothing to say --------------------------

LONG = "CC(C)CC(N)C(=O)NC(C)C(=O)O"


def given():
    n = parse(LONG).GetNumAtoms()
    return record(LONG, np.random.default_rng(0).normal(scale=2.5, size=(n, 3)))


def ids(**settings):
    return E3FPView(**settings).featurise(given())["ids"]


def test_level_0_is_what_no_conformer_changes():
    plain = ids()
    for harm in ({"noise": 0.3}, {"conformer": "embedded"}, {"conformer": "random"}):
        found = ids(**harm)
        assert np.array_equal(found[:, 0], plain[:, 0]), harm
        assert not np.array_equal(found, plain), harm
        assert np.array_equal(found, ids(**harm)), f"{harm}: not the same each time"
    assert not np.array_equal(ids(conformer="embedded"), ids(conformer="embedded", seed=1))
    assert not np.array_equal(ids(noise=0.3), ids(noise=0.3, seed=1))


def test_noise_grows():
    kept = [(ids(noise=noise) == ids()).mean() for noise in (1e-6, 0.1, 1.0)]
    assert kept[0] == 1.0
    assert kept[1] > kept[2]


def test_a_missing_conformer_leaves_no_shell():
    assert (ids(conformer="missing") == -1).all()
    assert ids(conformer="missing").shape == ids().shape
    assert (ids(conformer="missing", rows="selfies") == -1).all()


@pytest.mark.parametrize("rows", ["atoms", "selfies"])
@pytest.mark.parametrize("smiles", ["[NH3]->[Pt]", "[H][H]"])
def test_a_fallback_where_it_is_asked_for(smiles, rows):
    made = record(smiles, np.zeros((2, 3)))
    with pytest.raises(ViewError):
        E3FPView(rows=rows).featurise(made)
    if rows == "atoms":
        assert E3FPView(fallback=True).featurise(made)["ids"].tolist() == [[-1] * 4] * 2


def test_the_ledger_says_why_a_molecule_has_no_shell(tmp_path):
    view = E3FPView(fallback=True)
    dative, fine = record("[NH3]->[Pt]", np.zeros((2, 3))), record("CCO", ETHANOL)
    broken = record("CCN", [[np.nan, 0, 0], [1, 0, 0], [2, 0, 0]])
    unembedded = record("C[C@H]1[C@@H]2[C@H]1[C@H]2C")
    records = [replace(r, id=name) for r, name in ((dative, "dative"), (fine, "fine"), (broken, "nan"), (unembedded, "none"))]
    prepare(records, [view], tmp_path, workers=1)
    store = ViewStore(tmp_path, view)
    assert store.outcome(fine) == ("ok", "")
    for molecule, why in ((dative, "not DATIVE"), (broken, "not a finite number"), (unembedded, "no conformer")):
        status, reason = store.outcome(molecule)
        assert status == "fell_back"
        assert why in reason
        assert (store.get(molecule)["ids"] == -1).all()
        assert len(store.get(molecule)["ids"]) == parse(molecule.smiles).GetNumAtoms()
    assert {row["id"] for row in ledger_table([store], {view.key(r) for r in records})} == {"dative", "nan", "none"}
    assert not view.members(dative).any()


def test_coordinates_of_too_few_atoms():
    with pytest.raises(ViewError, match="coordinates of 2 atoms, the SMILES has 3"):
        E3FPView().featurise(record("CCO", [[0, 0, 0], [1, 0, 0]]))
    with pytest.raises(ViewError, match="not a finite number"):
        E3FPView().featurise(record("CCO", [[0, 0, 0], [1, 0, 0], [np.nan, 0, 0]]))


@pytest.mark.parametrize("rows", ["atoms", "selfies"])
def test_members_stand_beside_their_shells(rows):
    made = record("CC(=O)C.O", [[0, 0, 0], [1.5, 0, 0], [2.1, 1.1, 0], [2.2, -1.2, 0.1], [7, 0, 0]])
    view = E3FPView(rows=rows)
    found, places = view.members(made), view.featurise(made)["ids"]
    assert found.shape == (*places.shape, 5)
    assert np.array_equal(found.any(-1), places >= 0)
    # Of level 0 itself, of level 1 those within 1.718 Å, in the order of the SMILES.
    alone = [row.nonzero()[0].tolist() for row in found[:, 0] if row.any()]
    assert sorted(alone) == [[0], [1], [2], [3], [4]]
    around = {tuple(a.nonzero()[0]): tuple(b.nonzero()[0]) for a, b in zip(found[:, 0], found[:, 1], strict=True) if a.any()}
    assert around[(0,)] == (0, 1)
    assert around[(1,)] == (0, 1, 2, 3)
    assert around[(4,)] == (4,)


def tried(featurise, record):
    try:
        return featurise(record)["ids"].tolist()
    except ViewError as error:
        return str(error)


def embedded(record):
    try:
        return EmbeddingView().featurise(record)
    except ViewError as error:
        return error


@pytest.mark.parametrize("view", [E3FPView(), E3FPView(rows="selfies", merge=True), E3FPView(fallback=True, noise=0.2)], ids=str)
def test_many_at_a_time_are_the_same_as_one_by_one(view):
    """In groups by size; what has no shells neither loses nor changes its neighbours. Every second is lent coordinates."""
    never = "C[C@H]1[C@@H]2[C@H]1[C@H]2C"
    odd = ["[NH3]->[Pt]", "CCO", "[H][H]", "xx", "*C", "C", "[Na+].[Cl-]", never, never]
    records = [Record(s, s, s) for s in [*odd, *(f"{'C' * n}N" for n in range(1, 45))]]
    lent = [embedded(r) if i % 2 else None for i, r in enumerate(records)]
    for record, found in zip(records, view.featurise_many(records, lent), strict=True):
        assert tried(view.featurise, record) == (str(found) if isinstance(found, ViewError) else found["ids"].tolist())


def test_it_says_when_it_has_to_embed_and_takes_what_it_is_lent():
    given, bare = record("CCO", ETHANOL), record("CCO")
    view = E3FPView(seed=3, max_embedded=7)
    assert view.embedding(given) is None
    assert view.embedding(bare) == EmbeddingView(seed=3, max_embedded=7)
    assert E3FPView(conformer="embedded").embedding(given) == EmbeddingView()
    assert E3FPView(conformer="missing").embedding(bare) is None
    bent = {"numbers": given.geometry.numbers, "positions": given.geometry.positions}
    assert np.array_equal(view.featurise_embedded(bare, bent)["ids"], view.featurise(given)["ids"])
    with pytest.raises(ViewError, match="it hung"):
        view.featurise_embedded(bare, ViewError("it hung"))
    with pytest.raises(ViewError, match="8 heavy atoms; coordinates are embedded up to 7"):
        view.featurise(record("CCCCCCCC"))


def test_no_conformer(monkeypatch):
    def refuse(self, record):
        raise ViewError("no conformer: ETKDG and random coordinates both failed")

    monkeypatch.setattr(EmbeddingView, "featurise", refuse)
    with pytest.raises(ViewError, match="no conformer: ETKDG"):
        E3FPView().featurise(record("CCO"))
    assert (E3FPView(fallback=True).featurise(record("CCO"))["ids"] == -1).all()


@pytest.mark.parametrize("rows", ["atoms", "selfies"])
def test_dative_bonds_are_named(rows):
    with pytest.raises(ViewError, match=r"single, double, triple and aromatic bonds, not DATIVE|no SELFIES"):
        E3FPView(rows=rows).featurise(record("[NH3]->[Pt]", np.zeros((2, 3))))

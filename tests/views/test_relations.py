import numpy as np
import pytest
import torch

from molfusion.batch import Record
from molfusion.data.store import Entry, ViewStore
from molfusion.views import ConformerView, ViewError
from molfusion.views.relations import RelationsView


def record(smiles):
    return Record(smiles, smiles, smiles)


def batch(*smiles, view=RelationsView()):
    return view.collate([view.featurise(record(s)) for s in smiles])


def test_hand_checked_batch():
    found = batch("CO", "N", "C.O")
    assert found.mask.tolist() == [[True, True], [True, False], [True, True]]
    assert found.atoms[:, :, 0].tolist() == [[6, 8], [7, 0], [6, 8]]  # atomic numbers
    assert found.distances.tolist() == [[[1, 2], [2, 1]], [[1, 0], [0, 0]], [[1, 511], [511, 1]]]
    assert found.hops[0, 0, 1].tolist() == [1, 0, 0, 0, 0]
    assert found.hops.sum() == 2
    assert found.degrees().tolist() == [[1, 1], [0, 0], [0, 0]]
    assert found.degree_rows().tolist() == [[2, 2], [1, 0], [1, 1]]
    assert found.atom_rows()[0, 0, :4].tolist() == [7, 514, 1030, 1543]  # carbon, no chirality, degree 4, charge 0
    assert found.atom_rows()[1, 1].tolist() == [0] * 9
    assert found.hop_rows()[0, 0, 1, 0].tolist() == [3, 515, 1027]
    assert found.bond_rows()[0, 0, 1].tolist() == [2, 514, 1026]
    assert found.hop_rows().count_nonzero() == found.bond_rows().count_nonzero() == 6
    assert found.pair_rows()[0, 0, 1].tolist() == [8, 522]
    assert found.pair_rows()[1, 0, 1].tolist() == found.pair_rows()[1, 1, 0].tolist() == [1, 513]
    assert found.padding() == pytest.approx(3 / 12)


def test_bytes_where_they_fit():
    item = RelationsView().featurise(record("CCO"))
    assert {a.dtype for a in item.values()} == {np.dtype(np.uint8)}
    found = batch("CCO")
    assert (found.atoms.dtype, found.hops.dtype, found.distances.dtype) == (torch.uint8, torch.uint8, torch.int16)


def test_survives_the_store(tmp_path):
    view = RelationsView()
    records = [record(s) for s in ("C", "CCO.[Na+]", "c1ccccc1")]
    store = ViewStore(tmp_path, view)
    store.append([Entry(view.key(r), r.id, r.smiles, "ok", "", 0.0, view.featurise(r)) for r in records])
    kept = ViewStore(tmp_path, view)
    one, two = view.collate([kept.get(r) for r in records]), batch(*(r.smiles for r in records))
    for name in ("atoms", "distances", "hops", "mask"):
        assert torch.equal(getattr(one, name), getattr(two, name))


def test_a_long_chain():
    with pytest.raises(ViewError, match="300 atoms, this view takes at most 256"):
        RelationsView().featurise(record("C" * 300))
    longest = batch("C" * 256).distances[0]
    assert longest[0, 255] == 256
    assert (longest < 511).all()  # 255 bonds still fit a byte
    longer = batch("C" * 300, view=RelationsView(max_atoms=512)).distances[0]
    assert longer[0, 299] == 300


def test_hydrogens_left_out_give_the_conformers_atoms():
    for smiles in ("[2H]OC", "[H][H]", "CCO"):
        mine = RelationsView(hydrogens=False).featurise(record(smiles))
        theirs = ConformerView().featurise(record(smiles))
        assert (mine["atoms"][:, 0] + 1).tolist() == list(theirs["numbers"])
    assert len(RelationsView().featurise(record("[2H]OC"))["atoms"]) == 3


@pytest.mark.parametrize(
    ("smiles", "atoms", "bonds"),
    [
        ("[He]", 1, 0),
        ("[Na+].[Cl-]", 2, 0),
        ("[NH3]->[Pt](Cl)Cl", 4, 3),  # dative
        ("[Fe+2].[cH-]1cccc1", 6, 5),
        ("[CH3]", 1, 0),  # radical
        ("*C", 2, 1),  # dummy
        ("[13CH4].[2H]O", 3, 1),
        ("F[P-](F)(F)(F)(F)F", 7, 6),
    ],
)
def test_odd_molecules(smiles, atoms, bonds):
    found = batch(smiles)
    assert found.mask.sum() == atoms
    assert (found.distances == 2).sum() == 2 * bonds
    assert (found.hops[..., 0] > 0).sum() == (found.distances[0] > 1).logical_and(found.distances[0] < 511).sum()
    assert (found.atoms[0, :, 0] > 0).all()
    assert found.hop_rows().max() < 1537
    assert found.atom_rows().max() < 4609


def test_unparsable():
    with pytest.raises(ViewError, match="not a SMILES"):
        RelationsView().featurise(record("(("))

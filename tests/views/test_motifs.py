from functools import partial

import pytest
import torch

from molfusion.batch import Record
from molfusion.views.base import ViewError
from molfusion.views.motif_graph import MotifGraphView
from molfusion.views.motif_schedule import Rows, ordered, padded, settled
from molfusion.views.motifs import DEMO, MotifView, motif_vocabulary
from tests.motifs import SMILES, write_vocabulary


@pytest.fixture
def vocabulary(tmp_path):
    return partial(write_vocabulary, tmp_path)


def record(smiles):
    return Record(smiles, smiles, smiles)


@pytest.mark.parametrize("compat", [False, True])
def test_steps_of_ethanol(vocabulary, compat):
    """Two bonds, C-C then C-O: down, back, done; both messages of each bond at each visit, those that changed."""
    view = MotifView(vocabulary(compat, ["CCO"]))
    found = view.featurise(record("CCO"))
    assert found["steps"][:, 3].tolist() == [1, 0, 0], "one child, then back, then the end"
    assert found["steps"][:, 2].tolist() == [1, 0, 1], "at the root, at its child, at the root"
    assert len(found["atoms"]) == 6, "two atoms at each of three visits"
    # Four messages, and at the return the one that now hears of the child. Without labels the first two are equal.
    assert len(found["bond_levels"]) == (4 if compat else 5)
    assert len(found["glue"]) == 0, "nothing to choose"
    batch = view.collate([found, found])
    assert batch.molecule.tolist() == [0, 0, 0, 1, 1, 1]
    assert batch.child_molecule.tolist() == [0, 1]
    assert sum(batch.bond_sizes) == len(batch.bond_code)
    assert batch.to("cpu").bond_sizes == batch.bond_sizes


def test_rows_read_only_what_stands_before(vocabulary):
    view = MotifView(vocabulary())
    batch = view.collate([view.featurise(record(s)) for s in SMILES])
    for near, sizes, widths in (
        (batch.bond_near, batch.bond_sizes, batch.bond_widths),
        (batch.message_near, batch.message_sizes, batch.message_widths),
    ):
        start = 0
        for n, width in zip(sizes, widths, strict=True):
            level = near[start : start + n]
            assert int(level.max()) <= start
            assert not level[:, width:].any()
            start += n
        assert start == len(near)


def test_true_place_is_the_first_candidate(vocabulary):
    for compat in (False, True):
        view = MotifView(vocabulary(compat))
        batch = view.collate([view.featurise(record(s)) for s in SMILES])
        firsts = batch.candidate[batch.candidate[:, 1] == 0]
        assert firsts[:, 0].tolist() == list(range(len(batch.question_molecule)))
        assert batch.choices == int(batch.candidate[:, 1].max()) + 1


def test_out_of_vocabulary_and_undecomposable(vocabulary):
    view = MotifView(vocabulary(), max_atoms=12)
    for smiles, reason in {
        "CCS": "out of vocabulary: CS",
        "CC.CC": "more than one fragment",
        "C[Na]": "Na",
        "C" * 13: "13 atoms",
        "C1CC": "not a SMILES|ring",
    }.items():
        with pytest.raises(ViewError, match=reason):
            view.featurise(record(smiles))


def test_names_depend_on_the_vocabulary(vocabulary):
    first = MotifView(vocabulary())
    name = first.name()
    motif_vocabulary.cache_clear()
    assert MotifView(vocabulary(smiles=["CCO"])).name() != name
    with pytest.raises(FileNotFoundError, match="molfusion vocabulary CARD"):
        MotifView("nowhere.json").name()


def test_embedded_vocabulary_fits_the_embedded_data():
    words = motif_vocabulary(DEMO)
    assert not words.compat
    assert words.settings["card"] == "demo"
    assert MotifView().featurise(record("CC(=O)Oc1ccccc1C(=O)O"))


def test_graph_of_a_salt_and_of_the_unknown(vocabulary):
    view = MotifGraphView(vocabulary())
    words = motif_vocabulary(view.vocabulary)
    batch = view.collate([view.featurise(record(s)) for s in ("CCO", "[Na+].CC[O-]", "CCS")])
    assert batch.mask.sum(1).tolist() == [2, 3, 2]
    assert batch.molecule[batch.root].tolist() == [0, 1, 1, 2]
    unknown = batch.motif == len(words.motifs)
    assert unknown[batch.molecule == 0].sum() == 0
    assert unknown[batch.molecule == 2].sum() == 1
    assert (batch.atoms == 39).sum() == 1, "sodium"
    released = MotifGraphView(vocabulary(compat=True))
    with pytest.raises(ViewError, match="fragment"):
        released.featurise(record("CC.CC"))
    with pytest.raises(ViewError, match="CS"):
        released.featurise(record("CCS"))


def test_rounds():
    """A chain a-b-c-d: towards d each message waits for the one before; on a ring nothing settles."""
    chain = {("a", "b"): [], ("b", "c"): [("a", "b")], ("c", "d"): [("b", "c")]}
    assert list(settled(chain, 5).values()) == [1, 2, 3]
    assert list(settled(chain, 2).values()) == [1, 2, 2]
    ring = {(0, 1): [(2, 0)], (1, 2): [(0, 1)], (2, 0): [(1, 2)]}
    assert list(settled(ring, 4).values()) == [4, 4, 4]


def test_equal_values_are_one_row():
    rows = Rows(depth=2)
    into = {1: [0, 2], 0: [1], 2: [1]}
    codes = {(0, 1): (6,), (1, 0): (6,), (2, 1): (6,), (1, 2): (6,)}
    rows.update(codes, into)
    assert rows.current[0, 1] == rows.current[2, 1], "both ends say the same to the middle"
    assert rows.current[1, 0] == rows.current[1, 2]
    assert len(rows.codes) == 2
    assert rows.levels == [1, 2]


def test_sorting_and_padding():
    import numpy as np

    places, sizes = ordered(np.array([2, 1, 1, 3], dtype=np.int16))
    assert places.tolist() == [2, 0, 1, 3]
    assert sizes == [2, 1, 1]
    assert padded(np.array([[2, 7], [0, 5], [2, 6]]), 3).tolist() == [[5, 0], [0, 0], [7, 6]]
    assert torch.from_numpy(padded(np.zeros((0, 2), dtype=np.int64), 2)).tolist() == [[0], [0]]

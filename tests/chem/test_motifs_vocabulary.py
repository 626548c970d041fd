import json
from collections import Counter

import pytest

from molfusion.chem.motifs_tree import motif_tree
from molfusion.chem.motifs_vocabulary import (
    ATOMS,
    MotifVocabulary,
    VocabularyError,
    fitted_tree,
    load_vocabulary,
    pairs_of,
    released_vocabulary,
    vocabulary_of,
    writable_tree,
)
from molfusion.chem.parse import ChemError


def of(smiles, compat=False, **settings):
    counts = Counter()
    for s in smiles:
        counts.update(pairs_of(motif_tree(s, compat=compat), compat))
    return vocabulary_of(counts, compat=compat, **settings)


def test_atoms_are_the_released_ones():
    assert len(ATOMS) == 39
    assert ATOMS[0] == ("B", 0)
    assert ATOMS[6] == ("C", 0)
    assert ATOMS[-1] == ("Si", -1)


def test_file_keeps_everything(tmp_path):
    words = of(["CCO", "Cc1ccccc1", "c1ccc2ccccc2c1"])
    words.save(tmp_path / "motifs.json")
    again = load_vocabulary(tmp_path / "motifs.json")
    assert (again.pairs, again.fragments, again.compat, again.counts) == (words.pairs, (), False, words.counts)
    assert again.digest == words.digest
    assert again.settings["rdkit"] == words.settings["rdkit"]
    assert sum(again.counts) == sum(len(motif_tree(s).nodes) for s in ("CCO", "Cc1ccccc1", "c1ccc2ccccc2c1"))
    assert again.motifs == tuple(sorted({m for m, _ in words.pairs}))
    assert all(again.motifs[k] == m for k, (m, _) in zip(again.motif_of, again.pairs, strict=True))


def test_order_of_molecules_does_not_matter():
    smiles = ["CCO", "Cc1ccccc1", "CCN", "OCC1CC1"]
    assert of(smiles).pairs == of(smiles[::-1]).pairs
    assert of(smiles, compat=True).pairs == of(smiles[::-1], compat=True).pairs


def test_rare_attachments_share_one_that_is_open_everywhere():
    common, rare = ["Cc1ccc(O)cc1"] * 3, ["Cc1cccc(O)c1"]
    words = of(common + rare, min_count=3)
    ring = [(a, n) for (m, a), n in zip(words.pairs, words.counts, strict=True) if m == "C1=CC=CC=C1"]
    assert len(ring) == 2
    assert sorted(n for _, n in ring) == [1, 3]
    tree = fitted_tree("Cc1cccc(O)c1", words, 100)
    node = next(n for n in tree.nodes if len(n.atoms) == 6)
    assert sorted(node.labels.values()) == [2, 2, 2, 2, 2, 3]
    assert node.labels[node.glued[0]] == 3
    assert not words.missing(tree)
    # One that training never had is written with it too.
    unseen = writable_tree("Cc1ccccc1O", words, 100)
    assert not words.missing(unseen)
    assert words.missing(fitted_tree("Oc1cc(O)cc(O)c1CCl", words, 100))


def test_released_files():
    words = released_vocabulary("C C\nCC C[CH3:1]\nCC [CH3:1][CH3:2]\n", "OCC\n")
    assert words.compat
    assert words.fragments == ("CCO",)
    assert words.motifs == ("C", "CC")
    with pytest.raises(VocabularyError, match="CC C:1 1"):
        released_vocabulary("CC C:1 1\n")
    with pytest.raises(VocabularyError, match="no SMILES"):
        released_vocabulary("C C\n", "C1CC\n")


@pytest.mark.parametrize("content", ["", "[]", '{"format": 1}', '{"format": 9, "pairs": []}', '{"format": 1, "pairs": [["C"]]}'])
def test_other_files(tmp_path, content):
    path = tmp_path / "motifs.json"
    path.write_text(content)
    with pytest.raises(VocabularyError, match=r"motifs\.json"):
        load_vocabulary(path)


def test_what_cannot_be_written():
    words = MotifVocabulary(())
    with pytest.raises(ChemError, match="an atom Na of charge 0"):
        writable_tree("[Na]C", words, 100)
    with pytest.raises(ChemError, match="fragment"):
        writable_tree("CC.CC", words, 100)


def test_json_is_plain(tmp_path):
    of(["CCO"]).save(tmp_path / "a.json")
    assert json.loads((tmp_path / "a.json").read_text())["compat"] is False

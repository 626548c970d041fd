"""Motifs put together again."""

import pytest

from molfusion.chem.motifs_assembly import Assembly, rebuild, target, template
from molfusion.chem.motifs_oracle import reachable
from molfusion.chem.motifs_tree import motif_tree
from molfusion.chem.motifs_vocabulary import pairs_of, vocabulary_of
from molfusion.chem.parse import ChemError

REBUILT = {
    "chain": "CCCO",
    "branches": "CC(C)(C)C(F)(F)F",
    "charges": "C[N+](C)(C)CC(=O)[O-]",
    "nitro": "O=[N+]([O-])c1ccccc1",
    "fused": "c1ccc2[nH]ccc2c1",
    "three in a row": "c1ccc2cc3ccccc3cc2c1",
    "spiro": "C1CCC2(CC1)OCCO2",
    "bridge": "C1CC2CCC1C2",
    "two methyl groups on a bridge": "CC1(C)C2CCC1(C)C(=O)C2",
    "methyl at a junction": "CC12CCCCC1CCCC2",
    "steroid": "CC12CCC3C(CCC4=CC(=O)CCC34C)C1CCC2O",
    "cubic phosphate": "OP(=O)(O)OP(=O)(O)O",
    "single": "C",
}


@pytest.mark.parametrize("smiles", REBUILT.values(), ids=list(REBUILT))
def test_rebuilt(smiles):
    tree = motif_tree(smiles)
    rebuild(tree)
    for node in tree.nodes:
        if node.candidates:
            assert list(node.candidates[0]) == node.glued
            assert len(set(node.candidates)) == len(node.candidates) > 1


def test_not_rebuilt_is_said():
    with pytest.raises(ChemError, match=r"motifs make|valence|nowhere"):
        rebuild(motif_tree("CC1(C)C2CC=C(CCO)C1C2"))  # a pinane: two rings share atoms that a third one does not


def test_candidates_count_a_molecule_once():
    """Labels tell positions apart that the bare ring does not."""
    tree = motif_tree("Cc1ccc(O)c(N)c1")
    rebuild(tree)
    assert {n.motif: n.candidates for n in tree.nodes if n.candidates} == {"CO": [(4,), (6,)], "CN": [(6,), (4,)]}
    ring = next(n for n in tree.nodes if len(n.atoms) == 6)
    assert {a: m for a, m in ring.labels.items() if m} == {1: 1, 4: 2, 6: 2}
    two = motif_tree("CC1CC(O)CC(O)C1")
    rebuild(two)
    first = next(n for n in two.nodes if n.motif == "CO")
    assert not first.candidates, "mirror images of one another: nothing to choose"


def test_both_orientations():
    """A ring whose glued bond has a neighbour waiting on one side only can be laid on either way."""
    assembly = Assembly()
    benzene = assembly.root(template("C1=C[CH:2]=[CH:2]C=C1"))
    pyridine = template("C1=N[CH:1]=[CH:1]C=C1")
    places = assembly.placements(benzene, pyridine)
    assert len(places) == 2
    assert places[0] == places[1][::-1]
    names = assembly.classes(benzene, pyridine, places)
    assert names[0] == names[1], "an empty benzene has two sides that are one"
    symmetric = template("C1=C[CH:1]=[CH:1]C=C1")
    assert len(symmetric.symmetries) == 2
    assert len(template("C1=N[CH:1]=[CH:1]C=C1").symmetries) == 1


def test_bonds_must_agree():
    """A single bond of the motif does not lie on a double one."""
    assembly = Assembly()
    ring = assembly.root(template("C1=C[CH:2]=[CH:2]C=C1"))
    assert assembly.placements(ring, template("C1C[CH2:1][CH2:1]CC1")) == []


def test_valence_is_checked():
    assembly = Assembly()
    oxygen = assembly.root(template("C[OH:2]"))
    grown = assembly.glue(oxygen, template("C[OH:1]"), (1,))
    assert grown is not None
    assert assembly.smiles() == "COC"
    assert assembly.glue(oxygen, template("C[OH:1]"), (1,)) is None
    assert assembly.smiles() == "COC", "a refused motif leaves nothing behind"


def test_ceiling_of_either_decoder():
    smiles = "CC12CCCCC1CCCC2"
    ours = vocabulary_of(count(smiles, False))
    assert reachable(smiles, ours)
    released = vocabulary_of(count(smiles, True), compat=True)
    assert not reachable(smiles, released)
    assert reachable("CCc1ccccc1", vocabulary_of(count("CCc1ccccc1", True), compat=True))
    with pytest.raises(ChemError, match="out of vocabulary"):
        reachable("CCN", ours)


def count(smiles, compat):
    from collections import Counter

    return Counter(pairs_of(motif_tree(smiles, compat=compat), compat))


def test_target_is_the_bare_graph():
    assert target(motif_tree("C[C@H](N)C(=O)O").mol) == "CC(N)C(=O)O"
    assert target(motif_tree("[13CH4]").mol) == "C"



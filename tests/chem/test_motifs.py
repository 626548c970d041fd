"""Molecules small enough to take apart by hand."""

import pytest

from molfusion.chem.motifs import clusters, fragments, kekulised
from molfusion.chem.motifs_tree import motif_tree
from molfusion.chem.parse import ChemError


def test_clusters_are_bonds_and_rings_by_lowest_atom():
    mol = kekulised("CCC1CC1", compat=True)
    assert [sorted(c) for c in clusters(mol, ())] == [[0, 1], [1, 2], [2, 3, 4]]


def test_fragments_are_cut_at_rings():
    pieces = fragments(kekulised("CCOc1ccccc1C", compat=True))
    # The ether takes a copy of its ring atom along; the methyl stays with the ring.
    assert sorted((s, sorted(a)) for s, a in pieces) == [("CCOC", [0, 1, 2, 3]), ("Cc1ccccc1", [3, 4, 5, 6, 7, 8, 9])]


def test_known_fragment_is_one_cluster():
    tree = motif_tree("CCOc1ccccc1C", {"Cc1ccccc1"}, compat=True)
    assert sorted(sorted(n.atoms) for n in tree.nodes if len(n.atoms) > 1)[-1] == [3, 4, 5, 6, 7, 8, 9]
    assert not any(sorted(n.atoms) == [8, 9] for n in tree.nodes)


def test_where_three_bonds_meet_stands_a_single_atom():
    tree = motif_tree("CC(C)O", compat=True)
    assert [n.atoms for n in tree.nodes] == [[0, 1], [1, 2], [1, 3], [1]]
    assert [n.children for n in tree.nodes] == [[3], [], [], [1, 2]]
    assert tree.order == [(0, 3, 1), (3, 1, 1), (1, 3, 0), (3, 2, 1), (2, 3, 0), (3, 0, 0), (0, None, 0)]
    assert [tree.label(x, y) for x, y in [(0, 3), (3, 0), (1, 3), (2, 3)]] == [0, 1, 1, 2]


def test_labels():
    tree = motif_tree("CCO", compat=True)
    assert [(n.motif, n.attach) for n in tree.nodes] == [("CC", "[CH3:1][CH3:2]"), ("CO", "O[CH3:1]")]
    assert tree.nodes[1].anchors == [(1, "O[CH3:1]")]
    ours = motif_tree("OCC")  # the first end of a chain in canonical order, however it is written
    assert [(n.motif, n.attach) for n in ours.nodes] == [(n.motif, n.attach) for n in motif_tree("CCO").nodes]
    assert ours.nodes[0].labels[0] == 0, "the root's end is not glued to anything"


def test_a_methyl_at_a_ring_junction():
    """As released the fused bond is lost: one atom stands between the rings. By default the rings stay neighbours."""
    smiles = "CC12CCCCC1CCCC2"
    rings = [i for i, n in enumerate(motif_tree(smiles, compat=True).nodes) if len(n.atoms) == 6]
    released = motif_tree(smiles, compat=True)
    assert not any({x, y} == set(rings) for x, y in released.edges)
    ours = motif_tree(smiles)
    rings = [i for i, n in enumerate(ours.nodes) if len(n.atoms) == 6]
    assert any({x, y} == set(rings) for x, y in ours.edges)


def test_bonds_keep_their_kekule_structure_by_default():
    tree = motif_tree("c1ccc2ccccc2c1")
    for node in tree.nodes:
        inside = {tuple(sorted(b)): k for b, (k, _) in tree.bonds.items() if set(b) <= set(node.atoms)}
        assert sum(inside.values()) == node.motif.count("=")


@pytest.mark.parametrize("compat", [True, False])
@pytest.mark.parametrize("smiles", ["CCO.CC", "[Na+].[Cl-]", "", "C1CC", "CC(=O)[O-]->[Fe+2]"])
def test_what_has_no_tree(smiles, compat):
    with pytest.raises(ChemError):
        motif_tree(smiles, compat=compat)


def test_single_atoms():
    assert [(n.motif, n.attach) for n in motif_tree("C").nodes] == [("C", "C")]
    with pytest.raises(ChemError, match="single atom"):
        motif_tree("C", compat=True)


def test_size_limit():
    with pytest.raises(ChemError, match="11 atoms, expected at most 10"):
        motif_tree("C" * 11, max_atoms=10)

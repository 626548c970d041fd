import numpy as np
import pytest

from molfusion.chem.graph import graph
from molfusion.chem.parse import parse
from molfusion.chem.relations import CODES, HOPS, bond_codes, part, paths

SINGLE, DOUBLE, AROMATIC = 1, 13, 38  # codes of plain bonds; aromatic ones are conjugated


def of(smiles):
    return paths(graph(parse(smiles)))


def plain(smiles):
    """Floyd-Warshall with whole paths as lists: the rule itself."""
    mol = parse(smiles)
    n = mol.GetNumAtoms()
    path = [[[i, j] if mol.GetBondBetweenAtoms(i, j) else None for j in range(n)] for i in range(n)]
    for i in range(n):
        path[i][i] = [i]
    for k in range(n):
        for i in range(n):
            for j in range(n):
                if i == j or path[i][k] is None or path[k][j] is None:
                    continue
                longer = path[i][k] + path[k][j][1:]
                if path[i][j] is None or len(longer) < len(path[i][j]):
                    path[i][j] = longer
    types = {"SINGLE": 0, "DOUBLE": 1, "TRIPLE": 2, "AROMATIC": 3}
    stereo = {"STEREONONE": 0, "STEREOZ": 1, "STEREOE": 2}

    def code(a, b):
        bond = mol.GetBondBetweenAtoms(a, b)
        kind = types.get(str(bond.GetBondType()), 4)
        return 1 + kind * 12 + stereo[str(bond.GetStereo())] * 2 + bond.GetIsConjugated()

    distances = np.array([[len(p) - 1 if p else 0 for p in row] for row in path])
    hops = np.zeros((n, n, HOPS), int)
    for i in range(n):
        for j in range(n):
            steps = list(zip(path[i][j], path[i][j][1:], strict=False)) if path[i][j] else []
            for h, (a, b) in enumerate(steps[:HOPS]):
                hops[i, j, h] = code(a, b)
    return distances, hops


def test_hand_checked_propenol():
    found = of("C=CO")
    assert found.distances.tolist() == [[0, 1, 2], [1, 0, 1], [2, 1, 0]]
    assert found.hops[0, 2].tolist() == [DOUBLE + 1, SINGLE + 1, 0, 0, 0]  # both are conjugated
    assert found.hops[2, 0].tolist() == [SINGLE + 1, DOUBLE + 1, 0, 0, 0]
    assert not found.hops[1, 1].any()


def test_a_tie_goes_by_the_smaller_inner_atom():
    # Two ways from 0 to 2 around a four-ring: by atom 1 (C-C) or by atom 3 (C-C, C=C).
    found = of("C1CC=C1")
    assert found.hops[0, 2, :2].tolist() == [SINGLE, SINGLE]
    # The same ring told the other way: by atom 1 (the double bond first).
    found = of("C1=CCC1")
    assert found.hops[0, 2, :2].tolist() == [DOUBLE, SINGLE]


@pytest.mark.parametrize(
    "smiles",
    ["C12C3C4C1C5C2C3C45", "C1CC2C=CC1CC2", "c1ccc2cc3ccccc3cc2c1", "CC1=CCC(CC1)C(C)=C", "C/C=C\\C#N.[Na+]", "[NH3]->[Pt]", "C"],
)
def test_as_the_rule_says(smiles):
    distances, hops = plain(smiles)
    found = of(smiles)
    assert np.array_equal(found.distances, distances)
    assert np.array_equal(found.hops, hops)


def test_a_path_back_is_the_same_path():
    distances, hops = of("O=C1CCC=CC1C(C)=C")
    for i, j in np.argwhere((distances > 0) & (distances <= HOPS)):
        d = distances[i, j]
        assert hops[i, j, :d].tolist() == hops[j, i, :d][::-1].tolist()


def test_no_path_between_fragments():
    found = of("CC.O")
    assert found.distances.tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 0]]
    assert not found.hops[2].any()


def test_a_path_of_510_bonds_counts_as_none():
    distances = of("C" * 512).distances
    assert distances[0, 509] == 509
    assert distances[0, 510] == distances[511, 0] == 0


def test_every_bond_has_its_own_code():
    features = np.stack(np.meshgrid(range(5), range(6), range(2), indexing="ij"), -1).reshape(-1, 3).astype(np.uint8)
    codes = bond_codes(features)
    assert sorted(codes.tolist()) == list(range(1, CODES))
    assert bond_codes(np.array([[3, 0, 1]], np.uint8)).tolist() == [AROMATIC]


def test_part_keeps_bonds_among_its_atoms():
    whole = graph(parse("[2H]OC=O"))
    heavy = part(whole, np.array([1, 2, 3]))
    assert heavy.atoms.tolist() == whole.atoms[1:].tolist()
    assert heavy.edges.tolist() == [[0, 1], [1, 0], [1, 2], [2, 1]]
    assert heavy.bonds.tolist() == whole.bonds[2:].tolist()

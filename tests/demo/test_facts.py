"""Facts checked by hand: small molecules, and coordinates placed where the answer can be read off."""

import math

import numpy as np
import pytest
from rdkit import Chem

from molfusion.demo.facts import facts_2d, facts_3d, facts_chi, facts_ez


def mol(smiles):
    return Chem.MolFromSmiles(smiles)


def placed(smiles, positions):
    """The heavy atoms of a molecule, put at these points (Å)."""
    made = mol(smiles)
    conformer = Chem.Conformer(made.GetNumAtoms())
    for i, point in enumerate(np.asarray(positions, dtype=float)):
        conformer.SetAtomPosition(i, point.tolist())
    made.AddConformer(conformer)
    return made


def ring(n, radius):
    return [(radius * math.cos(2 * math.pi * i / n), radius * math.sin(2 * math.pi * i / n), 0.0) for i in range(n)]


TETRAHEDRON = [(0, 0, 0), (0.9, 0.9, 0.9), (0.9, -0.9, -0.9), (-0.9, 0.9, -0.9), (-0.9, -0.9, 0.9)]


@pytest.mark.parametrize(
    ("smiles", "expected"),
    [
        ("CCO", {"formula": "C2H6O", "groups": (("alcohol", 1),), "rings": (0, 0, ()), "flexibility": 0}),
        ("CC(=O)C", {"formula": "C3H6O", "groups": (("ketone", 1),)}),
        ("CN(C)C", {"formula": "C3H9N", "groups": (("tertiary amine", 1),)}),
        ("CC(=O)NC", {"formula": "C3H7NO", "groups": (("secondary amide", 1),)}),
        ("COC", {"formula": "C2H6O", "groups": (("ether", 1),)}),
        ("O=C1CCCO1", {"formula": "C4H6O2", "groups": (("ester", 1),), "rings": (1, 0, ())}),
        ("CS(=O)(=O)C", {"formula": "C2H6O2S", "groups": (("sulfone", 1),)}),
        ("C[N+](=O)[O-]", {"formula": "CH3NO2", "groups": (("nitro group", 1),)}),
        ("FC(Cl)(Cl)Br", {"groups": (("fluorine", 1), ("chlorine", 2), ("bromine", 1))}),
        ("CC(=O)Oc1ccccc1C(=O)O", {"formula": "C9H8O4", "groups": (("carboxylic acid", 1), ("ester", 1))}),
        ("c1ccccc1", {"formula": "C6H6", "rings": (1, 1, ("benzene",))}),
        ("C1CCCCC1", {"formula": "C6H12", "rings": (1, 0, ("cyclohexane",))}),
        ("c1ccc2[nH]ccc2c1", {"formula": "C8H7N", "rings": (2, 2, ("indole", "benzene"))}),
        ("C1CCCCC1c1ccncc1", {"rings": (2, 1, ("pyridine", "cyclohexane"))}),
        ("CCCCCO", {"flexibility": 3}),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_graph(smiles, expected):
    found = facts_2d(mol(smiles))
    assert {kind: found[kind] for kind in expected} == expected


@pytest.mark.parametrize(
    ("smiles", "group"),
    [
        ("CNC(=O)NC", "urea"), ("CNC(=S)N", "thiourea"), ("COC(=O)OC", "carbonate"), ("CNC(=O)OC", "carbamate"),
        ("CC(=O)N(C)C", "tertiary amide"), ("CC(=O)N", "primary amide"), ("COC=O", "ester"), ("CC(=N)N", "imine"),
    ],
)  # fmt: skip
def test_one_group_is_told_once(smiles, group):
    """A urea is no amide, a carbonate no pair of esters."""
    assert facts_2d(mol(smiles))["groups"] == ((group, 1),)


@pytest.mark.parametrize("smiles", ["CCC", "c1ccccc1", "c1ccncc1"])
def test_no_groups_no_sentence_about_them(smiles):
    assert "groups" not in facts_2d(mol(smiles))


@pytest.mark.parametrize(
    ("smiles", "expected"),
    [
        ("Cc1ccccc1C", ("ortho",)),
        ("Cc1cccc(C)c1", ("meta",)),
        ("Cc1ccc(C)cc1", ("para",)),
        ("Cc1cccc(C)c1C", ("ortho",)),  # 1,2,3: the outer two are told as neighbours of the middle one only
        ("Cc1ccc(C)c(C)c1", ("ortho", "meta", "para")),
        ("Cc1ccccc1", None),
        ("Cc1cccc2cccc(C)c12", None),  # 1,8-dimethylnaphthalene: across two rings is no meta
        ("CC1CCCCC1C", None),
    ],
)
def test_substitution(smiles, expected):
    assert facts_2d(mol(smiles)).get("substitution") == expected


@pytest.mark.parametrize(
    ("smiles", "kind", "donors", "area"),
    [
        ("OCC(O)CO", "hydrophilic", 3, 60),  # three hydroxyl groups of 20.2 Å² each
        ("CCO", "hydrophilic", 1, 20),
        ("c1ccccc1", "moderately lipophilic", 0, 0),
        ("CCCCCCCCCCCC", "strongly lipophilic", 0, 0),
    ],
)
def test_polarity(smiles, kind, donors, area):
    assert facts_2d(mol(smiles))["polarity"] == (kind, donors, area)


def test_the_graph_does_not_tell_stereoisomers_apart():
    assert facts_2d(mol("C[C@H](N)C(=O)O")) == facts_2d(mol("C[C@@H](N)C(=O)O"))
    assert facts_2d(mol("C/C=C/CO")) == facts_2d(mol("C/C=C\\CO"))


@pytest.mark.parametrize(
    ("smiles", "expected"),
    [
        ("C/C=C/C", ("E",)),
        ("C/C=C\\C", ("Z",)),
        ("F/C(Cl)=C(F)/Cl", ("Z",)),  # F below the bond and so its Cl above, the other Cl above: same side
        ("C/C=C/C=C\\C", ("E", "Z")),
        ("C/C=C\\C=C/C", ("Z", "Z")),
        ("CC=CC", None),
        ("C=C", None),
    ],
)
def test_double_bonds(smiles, expected):
    assert facts_ez(mol(smiles)).get("double_bonds") == expected


@pytest.mark.parametrize(
    ("smiles", "expected"),
    [
        ("F[C@](Cl)(Br)I", (0, 1)),  # seen from F: Cl, Br, I against the clock; from behind I, Br, Cl against it too: S
        ("F[C@@](Cl)(Br)I", (1, 0)),
        ("C[C@H](N)C(=O)O", (0, 1)),  # L-alanine
        ("OC(=O)[C@H](O)[C@@H](O)C(=O)O", (2, 0)),  # L-tartaric acid
        ("OC(=O)[C@@H](O)[C@H](O)C(=O)O", (0, 2)),
        ("OC(=O)[C@H](O)[C@H](O)C(=O)O", (1, 1)),  # the meso form
        ("CC(N)C(=O)O", None),  # not said which
        ("CCO", None),
    ],
)
def test_stereocentres(smiles, expected):
    assert facts_chi(mol(smiles)).get("stereocentres") == expected


def test_benzene_is_a_disc():
    found = facts_3d(placed("c1ccccc1", ring(6, 1.39)))
    assert found == {"shape": "disc", "gyration": 1.4, "span": 2.8, "planarity": "coplanar"}


def test_neopentane_is_a_sphere():
    # Corners 1.56 Å from the centre and 2.55 Å from each other; four of five atoms: 1.56 √(4/5) = 1.39.
    found = facts_3d(placed("CC(C)(C)C", [TETRAHEDRON[i] for i in (1, 0, 2, 3, 4)]))
    assert found == {"shape": "sphere", "gyration": 1.4, "span": 2.5, "planarity": "non-planar"}


STEP = 1.27  # Å a bond, as in a stretched chain


@pytest.mark.parametrize(
    ("corners", "fold", "shape"),
    [
        ([(7, 0)], "extended", "rod"),  # seven bonds along x
        ([(3, 0), (0, 3)], "bent", None),  # three along x, three along y: 1/√2 of the way
        ([(3, 0), (0, 1), (-3, 0)], "folded", None),  # there and back
    ],
)
def test_chains(corners, fold, shape):
    points = [np.zeros(2)]
    for dx, dy in corners:
        for _ in range(abs(dx) + abs(dy)):
            points.append(points[-1] + STEP * np.sign([dx, dy]))
    found = facts_3d(placed("C" * len(points), [(x, y, 0.0) for x, y in points]))
    assert found["fold"] == fold
    assert found["planarity"] == "coplanar"
    if shape:
        assert found["shape"] == shape
        assert found["span"] == pytest.approx(7 * STEP, abs=0.05)


def test_short_chains_have_no_fold():
    assert "fold" not in facts_3d(placed("CCCCC", [(STEP * i, 0, 0) for i in range(5)]))


def test_bulky():
    # Six arms of 3 Å: from the plane of four of them the other two are 3 Å away, 6 / 7 Å in the mean.
    octahedron = [(0, 0, 0), *(3.0 * np.vstack([np.eye(3), -np.eye(3)]))]
    assert facts_3d(placed("S(F)(F)(F)(F)(F)F", octahedron))["planarity"] == "bulky"


def test_contact_is_between_the_nearest_heteroatoms_of_two_single_groups():
    # N - C - C - O; the amine's N at the origin, the alcohol's O 3 Å away
    points = [(0, 0, 0), (0, 1.5, 0), (1.5, 1.5, 0), (3.0, 0, 0)]
    assert facts_3d(placed("NCCO", points))["contact"] == ("primary amine", "alcohol", 3.0)
    assert "contact" not in facts_3d(placed("NCO", points[:3])), "the two groups share their carbon"
    assert "contact" not in facts_3d(placed("OCCO", points)), "one kind of group, twice"


def test_reflection_changes_no_3d_fact():
    points = np.random.default_rng(0).normal(scale=2.0, size=(9, 3))
    smiles = "NCC(C)CC(O)CF"
    assert facts_3d(placed(smiles, points)) == facts_3d(placed(smiles, points * [-1, 1, 1]))

import logging
from collections import defaultdict
from pathlib import Path

import mmh3
import numpy as np
import pyarrow.parquet as pq
import pytest

import molfusion
from molfusion.chem import e3fp, e3fp_package
from molfusion.chem.conformer import embed
from molfusion.chem.e3fp import ABSENT, Settings
from molfusion.chem.parse import ChemError, parse

DEFAULTS = Settings(level=5, invariants="daylight", floating=False)
VARIANTS = [Settings(), Settings(stereo=False), DEFAULTS]


@pytest.fixture(autouse=True)
def _quiet():
    """The package warns of each pair of atoms in one place."""
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


def demo(count, name="pairs"):
    """Molecules of the demo set, spread over it, with the coordinates it ships."""
    rows = pq.read_table(Path(molfusion.__file__).parent / "demo" / f"{name}.parquet")
    every = rows.take(np.linspace(0, len(rows) - 1, count).astype(int)).to_pylist()
    mols = [parse(row["smiles"]) for row in every]
    given = [np.array(row["positions"], dtype=np.float32).reshape(-1, 3) for row in every]
    return mols, [x[: mol.GetNumAtoms()] for mol, x in zip(mols, given, strict=True)]


def agree(mols, positions, settings):
    """Every identifier, duplicate flag and member set is the package's; in one batch too."""
    together = e3fp.shells(mols, positions, settings)
    for mol, x, batched in zip(mols, positions, together, strict=True):
        (found,), expected = e3fp.shells([mol], [x], settings), e3fp_package.shells(mol, x, settings)
        for one, two, theirs in zip(found, batched, expected, strict=True):
            assert np.array_equal(one, theirs)
            assert np.array_equal(two, theirs)


def digest(*values):
    return mmh3.hash(np.array(values, dtype=np.int64).tobytes(), 0)


def test_hand_checked_methanol():
    (found,) = e3fp.shells([parse("CO")], [np.array([[0, 0, 0], [1.4, 0, 0]])], Settings(level=1))
    # atomic number, degree with hydrogens, hydrogens, charge, mass excess, in a ring
    carbon, oxygen = digest(6, 4, 3, 0, 0, 0), digest(8, 2, 1, 0, 0, 0)
    # level, own; then a single bond to the other, which is the y axis itself: at the pole, sector 1
    assert found.identifiers.tolist() == [
        [carbon, digest(1, carbon, 1, oxygen, 1)],
        [oxygen, digest(1, oxygen, 1, carbon, 1)],
    ]
    assert found.duplicate.tolist() == [[False, bool(found.identifiers[0, 1] > found.identifiers[1, 1])],
                                        [False, bool(found.identifiers[1, 1] > found.identifiers[0, 1])]]  # fmt: skip
    assert found.members[:, 1].all()


def test_out_of_reach_is_not_hashed():
    (found,) = e3fp.shells([parse("C.C")], [np.array([[0, 0, 0], [2.0, 0, 0]])], Settings(level=2))
    methane = digest(6, 4, 4, 0, 0, 0)
    # 2 Å lie beyond level 1: it would add nothing, and there the package ends.
    assert found.identifiers.tolist() == [[methane, ABSENT, ABSENT]] * 2
    (near,) = e3fp.shells([parse("C.C")], [np.array([[0, 0, 0], [1.7, 0, 0]])], Settings(level=2))
    assert near.identifiers[:, 1].tolist() == [digest(1, methane, 5, methane, 1)] * 2  # 5: not bonded


def test_folded_methane():
    (found,) = e3fp.shells([parse("C")], [np.zeros((1, 3))], Settings())
    assert e3fp.fold(found.identifiers, 4096).tolist() == [[1048, -1, -1, -1]]


@pytest.mark.parametrize("settings", VARIANTS, ids=["deepmolm", "flat", "defaults"])
def test_as_the_package(settings):
    agree(*demo(20), settings)


@pytest.mark.slow
def test_a_thousand_as_the_package():
    mols, positions = demo(1000)
    for start in range(0, len(mols), 50):
        agree(mols[start : start + 50], positions[start : start + 50], Settings())


@pytest.mark.slow
@pytest.mark.parametrize("settings", VARIANTS[1:], ids=["flat", "defaults"])
def test_small_quantum_molecules_as_the_package(settings):
    agree(*demo(200, "qm9"), settings)


def test_where_axes_are_ill_defined():
    mols, positions = demo(12)
    flat = [np.concatenate([x[:, :2], np.zeros((len(x), 1))], 1) for x in positions]
    line = [np.concatenate([x[:, :1], np.zeros((len(x), 2))], 1) for x in positions]
    nowhere = [np.zeros_like(x) for x in positions]
    for given in (flat, line, nowhere):
        agree(mols, given, Settings())


def test_salts_isotopes_radicals_and_metals():
    smiles = ["[Na+].[Cl-]", "[2H]C([2H])O", "[13CH3][14CH3]", "C[CH2]", "[Fe+2].[Cl-].[Cl-]", "*CC", "[He]", "C[N+](C)(C)C.O"]
    mols = [parse(s) for s in smiles]
    rng = np.random.default_rng(0)
    agree(mols, [rng.normal(size=(m.GetNumAtoms(), 3)) for m in mols], Settings())
    (found,) = e3fp.shells([mols[1]], [rng.normal(size=(4, 3))], Settings())
    assert (found.identifiers[[0, 2]] == ABSENT).all()  # a deuterium has no shells


def test_mirror_images_differ():
    mol = parse("N[C@@H](C)C(=O)O")
    x = embed(mol).positions[: mol.GetNumAtoms()].astype(np.float64)
    for stereo in (True, False):
        left, right = e3fp.shells([mol, mol], [x, x * [-1, 1, 1]], Settings(stereo=stereo))
        assert np.array_equal(left.identifiers, right.identifiers) is not stereo


@pytest.mark.parametrize(
    ("smiles", "reason"),
    [("[NH3]->[Pt]", "not DATIVE"), ("[H][H]", "describes no atom"), ("C$C", "not QUADRUPLE")],
)
def test_refused(smiles, reason):
    mol = parse(smiles)
    x = np.arange(3.0 * mol.GetNumAtoms()).reshape(-1, 3)
    with pytest.raises(ChemError, match=reason):
        e3fp.shells([mol], [x], Settings())
    with pytest.raises(ChemError, match="the package e3fp refuses it"):
        e3fp_package.shells(mol, x, Settings())


def test_merging_by_the_letter():
    """The rule once more, with sets and lists, on what the package found."""
    changed = 0
    for mol, x in zip(*demo(15), strict=True):
        shells, bits = e3fp_package.shells(mol, x, Settings()), 4096
        every = [
            (int(shells.identifiers[i, level]), frozenset(np.flatnonzero(shells.members[i, level]).tolist()), i, level)
            for level in range(4)
            for i in range(mol.GetNumAtoms())
            if shells.identifiers[i, level] != ABSENT
        ]
        shown = {name % 2**32 % bits for name, _, i, level in every if not shells.duplicate[i, level]}
        named = defaultdict(list)
        for name, members, _, _ in every:
            named[members].append(name)
        expected = shells.identifiers.copy()
        for name, members, i, level in every:
            if name % 2**32 % bits not in shown:
                others = [n for n in named[members] if n != name and n % 2**32 % bits in shown]
                expected[i, level] = others[0] if others else name
        merged = e3fp.merge(shells, bits)
        assert np.array_equal(merged, expected)
        changed += int((merged != shells.identifiers).sum())
    assert changed > 0

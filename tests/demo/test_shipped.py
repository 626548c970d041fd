"""What the shipped data hold: facts that are true of the shipped coordinates, pools as they are meant, clean splits."""

from collections import Counter, defaultdict

import numpy as np
import pyarrow.parquet as pq
import pytest
from rdkit import Chem
from rdkit.Chem import rdCIPLabeler
from rdkit.Chem.Scaffolds import MurckoScaffold
from rdkit.Geometry import Point3D

from molfusion.data.card import load_card
from molfusion.data.records import load_records
from molfusion.paths import package_path

FOLDER = package_path("package://molfusion/demo")
WORDS = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9}


@pytest.fixture(scope="module")
def pairs():
    return pq.read_table(FOLDER / "pairs.parquet").to_pylist()


def points(row):
    return np.array(row["positions"]).reshape(-1, 3)


def seen(row):
    """The heavy atoms with stereo read off the shipped coordinates alone."""
    mol = Chem.MolFromSmiles(row["smiles"])
    Chem.RemoveStereochemistry(mol)
    conformer = Chem.Conformer(mol.GetNumAtoms())
    for i, point in enumerate(points(row)[: mol.GetNumAtoms()]):
        conformer.SetAtomPosition(i, Point3D(*point.tolist()))
    mol.AddConformer(conformer)
    Chem.AssignStereochemistryFrom3D(mol)
    return mol


def told(row, kind):
    return next((f["text"] for f in row["facts"] if f["kind"] == kind), "")


def pools(rows, kind):
    found = defaultdict(list)
    for row in rows:
        for pool in row["pools"]:
            if pool["kind"] == kind:
                found[pool["name"]].append(row)
    return found


def test_shipped_files_are_small():
    sizes = {name: (FOLDER / name).stat().st_size for name in ("pairs.parquet", "qm9.parquet", "tokenizer.json")}
    assert sum(sizes.values()) <= 2_000_000, sizes


def test_counts_are_those_the_cards_state(pairs):
    qm9 = pq.read_table(FOLDER / "qm9.parquet", columns=["id"]).to_pylist()
    assert len({r["group"] for r in pairs}) == 1200
    assert len({r["id"] for r in pairs}) == len(pairs)
    assert len({r["id"] for r in qm9}) == len(qm9) == load_card("demo_qm9").files["all"].rows == 1500


# -- NCI molecules -----------------------------------------------------------------------------------


def test_every_fact_has_a_known_tag(pairs):
    assert {f["tag"] for r in pairs for f in r["facts"]} == {"2d", "ez", "3d", "chi"} == set(load_card("demo").scopes)
    for row in pairs:
        kinds = [f["kind"] for f in row["facts"]]
        assert kinds[0] == "formula"
        assert len(kinds) == len(set(kinds))


def test_coordinates_show_the_stereoisomer_that_the_smiles_states(pairs):
    wrong = [r["id"] for r in pairs if Chem.MolToSmiles(seen(r)) != Chem.CanonSmiles(r["smiles"])]
    assert not wrong


def test_formulas_are_those_of_the_atoms(pairs):
    """Counted from the shipped atoms, hydrogens included, in Hill order."""
    table = Chem.GetPeriodicTable()
    for row in pairs:
        counts = Counter(table.GetElementSymbol(z) for z in row["numbers"])
        order = sorted(counts, key=lambda e: ({"C": 0, "H": 1}.get(e, 2), e))
        formula = "".join(e + (str(counts[e]) if counts[e] > 1 else "") for e in order)
        charge = sum(a.GetFormalCharge() for a in Chem.MolFromSmiles(row["smiles"]).GetAtoms())
        formula += {0: "", 1: "+", -1: "-"}.get(charge, f"{charge:+d}")
        assert formula in told(row, "formula").rstrip(".").split(), row["id"]


def number(text):
    return float(text.split(" angstrom")[0].split()[-1])


def test_lengths_are_those_of_the_coordinates(pairs):
    """Span and radius of gyration by their definitions, to the digit that is told (coordinates are rounded)."""
    table = Chem.GetPeriodicTable()
    for row in pairs:
        numbers, at = np.array(row["numbers"]), points(row)
        at, mass = at[numbers > 1], np.array([table.GetAtomicWeight(int(z)) for z in numbers[numbers > 1]])
        apart = np.linalg.norm(at[:, None] - at[None], axis=-1)
        assert number(told(row, "span")) == pytest.approx(apart.max(), abs=0.052), row["id"]
        centre = mass @ at / mass.sum()
        gyration = np.sqrt(mass @ np.square(at - centre).sum(1) / mass.sum())
        assert number(told(row, "gyration")) == pytest.approx(gyration, abs=0.052), row["id"]


def handedness(text):
    """(R, S) out of `two R and one S`, `two are R`, `has the S configuration`, `is R`."""
    words = [w for w in text.rstrip(".").replace(",", "").split() if w not in {"is", "are"}]
    return tuple(sum(WORDS.get(words[i - 1], 1) for i, w in enumerate(words) if w == label) for label in "RS")


def test_handedness_is_told_as_the_coordinates_have_it(pairs):
    for row in pairs:
        mol = seen(row)
        rdCIPLabeler.AssignCIPLabels(mol)
        count = Counter(a.GetProp("_CIPCode") for a in mol.GetAtoms() if a.HasProp("_CIPCode"))
        assert handedness(told(row, "stereocentres")) == (count["R"], count["S"]), row["id"]
        double = sorted(b.GetProp("_CIPCode") for b in mol.GetBonds() if b.HasProp("_CIPCode"))
        words = told(row, "double_bonds").rstrip(".").replace(",", "").split()
        assert sorted(w for w in words if w in {"E", "Z"}) == double, row["id"]


def test_chi_pools_are_exact_mirror_images(pairs):
    found = pools(pairs, "chi")
    assert len(found) > 300
    for rows in found.values():
        image, row = sorted(rows, key=lambda r: r["id"].endswith("m"), reverse=True)
        assert image["id"] == f"{row['id']}m"
        # Canonical order may differ between the two: put both into one order, by element and place.
        a = np.column_stack([row["numbers"], points(row)])
        b = np.column_stack([image["numbers"], points(image) * [-1, 1, 1]])
        a, b = (x[np.lexsort(x.T)] for x in (a, b))
        assert np.array_equal(a, b), row["id"]
        near, far = (np.linalg.norm(x[:, None, 1:] - x[None, :, 1:], axis=-1) for x in (a, b))
        assert np.abs(near - far).max() < 1e-6
        assert image["smiles"] != row["smiles"]
        assert image["group"] == row["group"]
        right, left = handedness(told(row, "stereocentres"))
        assert handedness(told(image, "stereocentres")) == (left, right), row["id"]


def test_3d_pools_are_conformers_of_one_stereoisomer(pairs):
    found = pools(pairs, "3d")
    assert len(found) > 300
    for name, rows in found.items():
        assert len(rows) == 2, name
        assert rows[0]["smiles"] == rows[1]["smiles"], name
        one, two = (np.linalg.norm(points(r)[:, None] - points(r)[None], axis=-1) for r in rows)
        assert np.abs(one - two).max() > 0.5, name


def test_what_one_pool_cannot_be_told_apart_by(pairs):
    """Graph facts are the same within a pool; so are 3d facts within mirror images, and chi within conformers."""

    def kinds(row, *tags):
        return {f["kind"] for f in row["facts"] if f["tag"] in tags}

    for rows in pools(pairs, "chi").values():
        assert kinds(rows[0], "2d", "ez", "3d") == kinds(rows[1], "2d", "ez", "3d")
        assert number(told(rows[0], "gyration")) == number(told(rows[1], "gyration"))
        assert number(told(rows[0], "span")) == number(told(rows[1], "span"))
    for rows in pools(pairs, "3d").values():
        assert handedness(told(rows[0], "stereocentres")) == handedness(told(rows[1], "stereocentres"))


# -- splits ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["demo", "demo_qm9"])
def records(request, cache):
    return load_records(load_card(request.param), cache)


def test_nothing_is_dropped(records):
    assert not records.dropped


def test_no_scaffold_is_in_two_splits(records):
    splits = defaultdict(set)
    for record in records.records:
        flat = Chem.MolFromSmiles(record.smiles)
        Chem.RemoveStereochemistry(flat)
        core = MurckoScaffold.GetScaffoldForMol(flat)
        # Once more through SMILES: a scaffold cut out of a molecule keeps traces of it.
        name = Chem.MolToSmiles(Chem.MolFromSmiles(Chem.MolToSmiles(core))) if core.GetNumAtoms() else "acyclic"
        splits[name if name != "acyclic" else Chem.MolToSmiles(flat)].add(record.split)
    shared = {name: found for name, found in splits.items() if len(found) > 1}
    assert not shared


def test_the_splits_have_the_stated_shares(records):
    count = Counter(r.split for r in records.records)
    total = sum(count.values())
    for split, share in zip(("train", "val", "test"), (0.7, 0.1, 0.2), strict=True):
        assert count[split] / total == pytest.approx(share, abs=0.01)


def test_pools_do_not_cross_splits(pairs, cache):
    split = {r.id: r.split for r in load_records(load_card("demo"), cache).records}
    for kind in ("3d", "chi"):
        for name, rows in pools(pairs, kind).items():
            assert len({split[r["id"]] for r in rows}) == 1, (kind, name)

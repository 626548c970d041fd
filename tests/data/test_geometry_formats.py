"""Formats that bring coordinates in arrays (.npz of QM9) and behind SMILES (CXSMILES)."""

import numpy as np
import pytest

from molfusion.data.card import CardError, load_card
from molfusion.data.records import load_records

CO = np.array([[0.0, 0, 0], [1.4, 0, 0], [-0.6, 0.9, 0.0], [-0.6, -0.5, 0.8], [-0.6, -0.5, -0.8], [1.8, 0.9, 0]])
HOH = np.array([[0.0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]])


def arrays(**changes):
    positions = np.concatenate([CO, HOH])
    return {
        "smiles": np.array(["CO", "O"]), "n_atoms": np.array([6, 3], np.uint8),
        "z": np.array([6, 8, 1, 1, 1, 1, 8, 1, 1], np.uint8), "pos_1e4A": np.round(positions * 1e4).astype(np.int32),
        "y": np.array([[1.7, -0.26], [1.9, -0.29]]), "y_names": np.array(["Dipole_debye", "HOMO_au"]), **changes,
    }  # fmt: skip


def npz(folder, given, targets="[{column: HOMO_au, name: homo, unit: eV, scale: 27.2}]"):
    np.savez(folder / "some.npz", **given)
    (folder / "card.yaml").write_text(
        f"name: x\nlicence: MIT\nformat: qm9npz\nfiles: {{train: {{path: some.npz}}}}\ntargets: {targets}\n"
    )
    return load_card(str(folder / "card.yaml"))


def test_qm9_arrays(tmp_path, cache):
    found = load_records(npz(tmp_path, arrays()), cache)
    first, second = found.records
    assert [r.smiles for r in found.records] == ["CO", "O"]
    assert first.geometry.numbers.tolist() == [6, 8, 1, 1, 1, 1]
    np.testing.assert_allclose(first.geometry.positions, CO, atol=1e-4)
    np.testing.assert_allclose(second.geometry.positions, HOH, atol=1e-4)
    assert first.targets == (pytest.approx(-0.26 * 27.2),)


def test_atoms_in_another_order_than_the_smiles_are_left_out(tmp_path, cache):
    given = arrays(smiles=np.array(["OC", "O"]))
    found = load_records(npz(tmp_path, given), cache)
    assert [r.smiles for r in found.records] == ["O"]
    assert "not those of the SMILES" in found.dropped[0].reason


def test_what_the_file_lacks_is_named(tmp_path, cache):
    lacking = arrays()
    del lacking["z"]
    with pytest.raises(CardError, match=r"some\.npz has no array 'z'; it has: smiles, n_atoms, pos_1e4A"):
        load_records(npz(tmp_path, lacking), cache)
    with pytest.raises(CardError, match=r"has no target 'LUMO'; it has: Dipole_debye, HOMO_au"):
        load_records(npz(tmp_path, arrays(), "[{column: LUMO}]"), cache)


def cx(folder, rows):
    lines = "\n".join(f'"{smiles}",{gap}' for smiles, gap in rows)
    (folder / "some.csv").write_text(f"smiles,gap\n{lines}\n")
    (folder / "card.yaml").write_text(
        "name: x\nlicence: MIT\nformat: cxsmiles\nfiles: {train: {path: some.csv}}\ncolumns: {smiles: smiles}\n"
        "targets: [{column: gap, unit: eV}]\n"
    )
    return load_card(str(folder / "card.yaml"))


def test_cxsmiles(tmp_path, cache):
    where = ";".join(",".join(f"{x:.4f}" for x in atom) for atom in [CO[2], CO[0], CO[3], CO[4], CO[1], CO[5]])
    found = load_records(cx(tmp_path, [(f"[H]C([H])([H])O[H] |({where})|", 5.0), ("CCN", 6.0), ("C |(0,0", 7.0)]), cache)
    methanol, amine = found.records
    assert (methanol.smiles, methanol.targets) == ("CO", (5.0,))
    assert methanol.geometry.numbers.tolist() == [6, 8, 1, 1, 1, 1]
    np.testing.assert_allclose(methanol.geometry.positions[:2], CO[:2], atol=1e-4)
    distances = np.linalg.norm(methanol.geometry.positions[2:] - methanol.geometry.positions[0], axis=1)
    np.testing.assert_allclose(sorted(distances)[:3], np.linalg.norm(CO[2:5], axis=1), atol=1e-3)
    assert (amine.smiles, amine.geometry) == ("CCN", None)
    assert "not a CXSMILES" in found.dropped[0].reason


def test_one_root_for_several_cards(tmp_path):
    for name in ("one", "two"):
        (tmp_path / f"{name}.yaml").write_text(f"name: {name}\nlicence: MIT\nfiles: {{train: {{path: d.csv}}}}\n")
    data = tmp_path / "data"
    (data / "one").mkdir(parents=True)
    assert load_card(str(tmp_path / "one.yaml"), str(data)).folder == str(data / "one")
    assert load_card(str(tmp_path / "two.yaml"), str(data)).folder == str(data)
    assert load_card(str(tmp_path / "two.yaml")).folder == str(tmp_path)

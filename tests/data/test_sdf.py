import gzip

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import AllChem

from molfusion.data.card import CardError, load_card
from molfusion.data.records import load_records

# Methanol, written by hand: oxygen first, the hydrogens between the heavy atoms.
METHANOL = """methanol
  by hand           3D

  6  5  0  0  0  0  0  0  0  0999 V2000
    1.4000    0.0000    0.0000 O   0  0
    1.7000    0.9000    0.0000 H   0  0
    0.0000    0.0000    0.0000 C   0  0
   -0.3600   -0.5000    0.9000 H   0  0
   -0.3600   -0.5000   -0.9000 H   0  0
   -0.3600    1.0300    0.0000 H   0  0
  1  2  1  0
  1  3  1  0
  3  4  1  0
  3  5  1  0
  3  6  1  0
M  END
>  <boils>  (1)
64.7

>  <says>
An alcohol.
The smallest.

$$$$
"""
FIVE_BONDS = METHANOL.replace("methanol", "wrong", 1).replace("  1  3  1  0", "  1  3  3  0")
NOT_A_BLOCK = "rubbish\nmore\nrubbish\nhere\n$$$$\n"
FLAT = """flat
  by hand           2D

  3  2  0  0  0  0  0  0  0  0999 V2000
    0.0000    0.0000    0.0000 C   0  0
    1.0000    0.0000    0.0000 C   0  0
    2.0000    0.0000    0.0000 O   0  0
  1  2  1  0
  2  3  1  0
M  END
$$$$
"""


def made(folder, text, extra="", columns="{id: _Name, text: says}", name="d.sdf"):
    data = text.encode()
    (folder / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    (folder / "card.yaml").write_text(
        f"name: x\nlicence: MIT\nformat: sdf\nfiles: {{train: {{path: {name}}}}}\ncolumns: {columns}\n{extra}"
    )
    return load_card(str(folder / "card.yaml"))


@pytest.mark.parametrize("name", ["d.sdf", "d.sdf.gz"])
def test_structures_coordinates_and_items(tmp_path, cache, name):
    extra = "targets: [{column: boils, unit: C}]\n"
    (record,) = load_records(made(tmp_path, METHANOL, extra, name=name), cache).records
    assert (record.id, record.smiles, record.targets) == ("methanol", "CO", (64.7,))
    assert record.text == "An alcohol.\nThe smallest."
    assert record.geometry.numbers.tolist() == [6, 8, 1, 1, 1, 1]  # the SMILES' order, then hydrogens in the file's
    expected = [[0, 0, 0], [1.4, 0, 0], [1.7, 0.9, 0], [-0.36, -0.5, 0.9], [-0.36, -0.5, -0.9], [-0.36, 1.03, 0]]
    assert np.allclose(record.geometry.positions, expected)


def test_broken_entries_are_dropped_with_their_place(tmp_path, cache):
    text = METHANOL + FIVE_BONDS + NOT_A_BLOCK + METHANOL.replace("methanol", "again")
    found = load_records(made(tmp_path, text), cache)
    assert [r.id for r in found.records] == ["methanol", "again"]
    assert [d.id for d in found.dropped] == ["wrong", "rubbish"]
    assert "entry 2 (line 25): Explicit valence for atom # 0 O, 4" in found.dropped[0].reason
    assert "entry 3 (line 49): not a mol block" in found.dropped[1].reason


def test_a_drawing_has_no_geometry(tmp_path, cache):
    (record,) = load_records(made(tmp_path, FLAT, columns="{}"), cache).records
    assert (record.smiles, record.geometry) == ("CCO", None)


def test_stereo_comes_from_the_coordinates(tmp_path, cache):
    entries = []
    for smiles in ("C[C@H](F)Cl", "C[C@@H](F)Cl"):
        mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
        AllChem.EmbedMolecule(mol, randomSeed=1)
        Chem.RemoveStereochemistry(mol)
        entries.append(Chem.MolToMolBlock(mol) + "$$$$\n")
    records = load_records(made(tmp_path, "".join(entries), columns="{}"), cache).records
    assert [r.canonical for r in records] == ["C[C@H](F)Cl", "C[C@@H](F)Cl"]


@pytest.mark.parametrize(
    ("text", "columns", "expected"),
    [
        ("\n", "{}", "has no entries"),
        (METHANOL, "{text: say}", "no entry of .* has a data item 'say'; did you mean 'says'"),
        (METHANOL, "{smiles: says}", "columns.smiles cannot be set for an SD file"),
        (NOT_A_BLOCK, "{}", "none of 1 rows is a molecule; the first: entry 1"),
    ],
)
def test_mistakes_are_named(tmp_path, cache, text, columns, expected):
    with pytest.raises(CardError, match=expected):
        load_records(made(tmp_path, text, columns=columns), cache)


def test_a_cut_gzip_file_is_named(tmp_path, cache):
    card = made(tmp_path, METHANOL, name="d.sdf.gz")
    whole = (tmp_path / "d.sdf.gz").read_bytes()
    (tmp_path / "d.sdf.gz").write_bytes(whole[:-20])
    with pytest.raises(CardError, match="cannot read"):
        load_records(card, cache)

import gzip

import numpy as np
import pyarrow as pa
import pytest

from molfusion.batch import Fact, Geometry, Record
from molfusion.chem.scaffold import scaffold
from molfusion.data.card import CardError, load_card
from molfusion.data.records import from_table, load_records, to_table


def made(folder, data, columns="{smiles: s}", extra="", name="d.csv"):
    path = folder / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    (folder / "card.yaml").write_text(
        f"name: x\nlicence: MIT\nfiles: {{train: {{path: {name}}}}}\ncolumns: {columns}\n{extra}"
    )
    return load_card(str(folder / "card.yaml"))


def test_rows_become_records(tmp_path, cache):
    data = 'i,s,t,y\na,OCC,"An alcohol, short.",1.5\nb,CCN,An amine.,\n'
    columns = "{id: i, smiles: s, text: t}"
    found = load_records(made(tmp_path, data, columns, "targets: [{column: y, scale: 2}]\n"), cache)
    first, second = found.records
    assert (first.id, first.smiles, first.canonical) == ("a", "OCC", "CCO")
    assert first.text == "An alcohol, short."
    assert first.targets == (3.0,)
    assert np.isnan(second.targets[0])
    assert not found.dropped


def test_bad_rows_are_kept_in_a_ledger(tmp_path, cache):
    data = "s\nCCO\nC(C)(C)(C)(C)C\n\nxyz\n"
    found = load_records(made(tmp_path, data.replace("\n\n", '\n""\n')), cache)
    assert [r.smiles for r in found.records] == ["CCO"]
    assert [d.id for d in found.dropped] == ["train-2", "train-3", "train-4"]
    assert "valence" in found.dropped[0].reason
    assert "empty" in found.dropped[1].reason
    again = load_records(made(tmp_path, data.replace("\n\n", '\n""\n')), cache)  # now from the cache
    assert again.dropped == found.dropped


@pytest.mark.parametrize(
    ("data", "columns", "expected"),
    [
        ("s\nxyz\n", "{smiles: s}", "none of 1 rows is a molecule; the first: not a SMILES"),
        ("s\n", "{smiles: s}", "has a header but no rows"),
        ("smile\nC\n", "{smiles: smiles}", "no column 'smiles' .*did you mean 'smile'"),
        ("i,s\na,C\na,CC\n", "{id: i, smiles: s}", "row 2: id 'a' came before"),
        ("i,s\na,C\n", "{id: i}", "columns.smiles is missing"),
        ("i,s\na,C\n", "{smiles: s, txt: i}", "columns.txt is not a field of a record; did you mean 'text'"),
        ('s,t\n"C\n', "{smiles: s}", "cannot read"),
    ],
)
def test_bad_files_are_one_clear_line(tmp_path, cache, data, columns, expected):
    with pytest.raises(CardError, match=expected) as caught:
        load_records(made(tmp_path, data, columns), cache)
    assert "\n" not in str(caught.value)


def test_wrong_number_of_rows(tmp_path, cache):
    (tmp_path / "d.csv").write_text("s\nC\n")
    (tmp_path / "card.yaml").write_text(
        "name: x\nlicence: MIT\nfiles: {train: {path: d.csv, rows: 5}}\ncolumns: {smiles: s}\n"
    )
    with pytest.raises(CardError, match="has 1 rows, the card says 5"):
        load_records(load_card(str(tmp_path / "card.yaml")), cache)


def test_tsv_with_quotes_and_gzip(tmp_path, cache):
    data = gzip.compress(b'smiles\ttext\nCC\tSay "5\' end".\n')
    found = load_records(made(tmp_path, data, "{smiles: smiles, text: text}", name="d.tsv.gz"), cache)
    assert found.records[0].text == "Say \"5' end\"."


def test_smiles_files(tmp_path, cache):
    found = load_records(made(tmp_path, "# made up\nCCO ethanol\nC\n", "{}", "format: smiles\n", "d.smi"), cache)
    assert [r.id for r in found.records] == ["ethanol", "line3"]


def test_doubled_backslashes_are_undone(tmp_path, cache):
    found = load_records(made(tmp_path, "s\nC/C=C\\\\C\n"), cache)
    assert found.records[0].smiles == "C/C=C\\C"


def test_duplicates_and_size(tmp_path, cache):
    extra = "drop: {duplicates: inchikey, max_heavy_atoms: 3}\n"
    found = load_records(made(tmp_path, "s\nOCC\nCCO\nCCCC\n", extra=extra), cache)
    assert [r.smiles for r in found.records] == ["OCC"]
    assert "duplicate of an earlier molecule" in found.dropped[0].reason
    assert "4 heavy atoms, the card keeps at most 3" in found.dropped[1].reason


def test_geometry_must_fit_its_molecule(tmp_path, cache):
    rows = [
        {"s": "CO", "n": [6, 8], "p": [0.0, 0, 0, 1.4, 0, 0]},
        {"s": "CO", "n": [8, 6], "p": [0.0, 0, 0, 1.4, 0, 0]},
        {"s": "CO", "n": [6, 8], "p": [0.0, 0, 0, 4.0, 0, 0]},
        {"s": "CO", "n": [6, 8], "p": [0.0, 0, 0]},
    ]
    pa.parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "d.parquet")
    columns = "{smiles: s, numbers: n, positions: p}"
    found = load_records(made(tmp_path, (tmp_path / "d.parquet").read_bytes(), columns, name="d.parquet"), cache)
    assert len(found.records) == 1
    reasons = " ".join(d.reason for d in found.dropped)
    assert "not those of the SMILES" in reasons
    assert "bonded but 4.00 Å apart" in reasons
    assert "2 elements but 1 coordinates" in reasons


def test_splits(tmp_path, cache):
    data = "s,part\n" + "".join(f"{'C' * n},{p}\n" for n, p in ((1, "train"), (2, "valid"), (3, "test")))
    by_column = load_records(made(tmp_path, data, extra="split: {by: column, column: part}\n"), cache)
    assert [r.split for r in by_column.records] == ["train", "val", "test"]
    bad = data.replace("valid", "wednesday")
    with pytest.raises(CardError, match="holds 'wednesday'"):
        load_records(made(tmp_path, bad, extra="split: {by: column, column: part}\n"), cache)


def test_holding_out_keeps_scaffolds_together(tmp_path, cache):
    rings = ("c1ccccc1", "c1ccncc1", "C1CCCCC1", "C1CCNCC1")
    many = "s\n" + "".join(f"{'C' * n}{ring}\n" for n in range(1, 6) for ring in rings)
    held = load_records(made(tmp_path, many, extra="split: {holdout: {val: 0.3}}\n"), cache)
    found = {split: {scaffold(r.canonical) for r in held.records if r.split == split} for split in ("train", "val")}
    assert found["val"]
    assert not found["train"] & found["val"]


def test_table_round_trip():
    geometry = Geometry(np.array([8, 1], np.uint8), np.array([[0, 0, 0], [1, 2, 3]], np.float32))
    records = [
        Record("a", "O", "O", geometry, "g", "t", "p", (1.0, float("nan")), "val", (Fact("2d", "k", "x"),), (("3d", "n"),)),
        Record("b", "C", "C"),
    ]
    first, second = from_table(to_table(records))
    assert np.array_equal(first.geometry.positions, geometry.positions)
    assert (first.facts, first.pools, first.split) == (records[0].facts, records[0].pools, "val")
    assert second.geometry is None

"""A plain file of molecules where a card is expected."""

import gzip

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rdkit import Chem

from molfusion.data import MoleculeData
from molfusion.data.card import CardError, load_card
from molfusion.data.records import load_records

SMILES = ["CCO", "c1ccccc1", "C1CCNCC1", "CC", "CCC", "c1ccncc1", "C1CCCCC1", "CCN", "CO", "CS"]


def csv(head="CID,SMILES,Description,gap,toxic", separator=","):
    rows = [f"{100 + i},{s},It is number {i}.,{i / 2},{i % 2}" for i, s in enumerate(SMILES)]
    return "\n".join([head, *rows]).replace(",", separator) + "\n"


def written(folder, name):
    path = folder / name
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress(csv(separator="\t" if ".tsv" in name else ",").encode()))
    elif name.endswith(".parquet"):
        columns = {"cid": range(10), "smiles": SMILES, "caption": [f"It is {s}." for s in SMILES], "gap": np.arange(10) / 2}
        pq.write_table(pa.table(columns), path)
    else:
        path.write_text(csv(separator="," if name.endswith(".csv") else "\t"))
    return path


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.tsv", "a.tsv.gz", "a.txt", "a.parquet", "a.b.csv"])
def test_tables(name, tmp_path, cache):
    path = written(tmp_path, name)
    card = load_card(str(path), targets=["gap"])
    assert card.name == path.name.removesuffix(".gz").rpartition(".")[0]
    records = load_records(card, cache).records
    assert [r.smiles for r in records] == SMILES
    assert records[3].targets == (1.5,)
    assert records[3].text.startswith("It is")
    assert records[3].id in {"103", "3"}
    assert sorted({r.split for r in records}) == ["test", "train", "val"]
    assert [r.split for r in load_records(load_card(str(path)), cache).records] == [r.split for r in records]


def test_numbers_are_targets_only_where_they_are_named(tmp_path):
    path = written(tmp_path, "a.csv")
    assert load_card(str(path)).target_list() == ()
    found = load_card(str(path), targets=["toxic", "gap"]).target_list()
    assert [(t.name, t.kind) for t in found] == [("toxic", "classification"), ("gap", "regression")]


@pytest.mark.parametrize("ending", ["smi", "smiles", "smi.gz"])
def test_smiles_files(ending, tmp_path, cache):
    text = "# ten\n" + "".join(f"{s} m{i}\n" for i, s in enumerate(SMILES))
    path = tmp_path / f"a.{ending}"
    path.write_bytes(gzip.compress(text.encode()) if ending.endswith("gz") else text.encode())
    records = load_records(load_card(str(path)), cache).records
    assert [(r.id, r.smiles) for r in records] == [(f"m{i}", s) for i, s in enumerate(SMILES)]
    with pytest.raises(CardError, match="SMILES and names alone, no column 'gap'"):
        load_card(str(path), targets=["gap"])


def test_sd_files(tmp_path, cache):
    path = tmp_path / "a.sdf"
    with Chem.SDWriter(str(path)) as writer:
        for i, smiles in enumerate(SMILES):
            mol = Chem.MolFromSmiles(smiles)
            mol.SetProp("_Name", f"m{i}")
            mol.SetProp("caption", f"It is {smiles}.")
            mol.SetProp("gap", str(i / 2))
            writer.write(mol)
    records = load_records(load_card(str(path), targets=["gap"]), cache).records
    assert [r.id for r in records] == [f"m{i}" for i in range(10)]
    assert records[2].text == "It is C1CCNCC1."
    assert records[2].targets == (1.0,)


def test_an_id_that_repeats_is_none(tmp_path, cache, caplog):
    path = tmp_path / "a.csv"
    path.write_text("name,smiles\n" + "".join(f"x,{s}\n" for s in SMILES))
    assert load_card(str(path)).columns == {"smiles": "smiles"}
    assert load_records(load_card(str(path)), cache).records[0].id == "all-1"
    assert f"{path}: no column names its molecules: 'name' holds 'x' several times. They are numbered instead" in caplog.text


def test_another_column_of_names_takes_its_place(tmp_path, caplog):
    path = tmp_path / "a.csv"
    path.write_text("id,name,smiles\n,a,CCO\n2,b,CCN\n")
    assert load_card(str(path)).columns == {"id": "name", "smiles": "smiles"}
    assert not caplog.text


def test_a_column_of_splits_is_followed(tmp_path, cache):
    path = tmp_path / "a.csv"
    path.write_text("smiles,split\n" + "".join(f"{s},{'test' if i > 6 else 'Train'}\n" for i, s in enumerate(SMILES)))
    assert [r.split for r in load_records(load_card(str(path)), cache).records] == ["train"] * 7 + ["test"] * 3
    path.write_text("smiles,split\n" + "".join(f"{s},{i}\n" for i, s in enumerate(SMILES)))
    assert load_card(str(path)).split.by == "random"


@pytest.mark.parametrize(
    ("targets", "text", "expected"),
    [
        ([], "molecule,gap\nCCO,1\n", r"no column of SMILES by a usual name \(smiles, .*it has: molecule, gap\. Rename it"),
        (["gp"], csv(), "has no column 'gp', which data.targets names; did you mean 'gap'"),
        (["Description"], csv(), "column 'Description', which data.targets names, holds no number"),
        ([], "", "cannot read .*a.csv"),
    ],
)
def test_mistakes_are_named(targets, text, expected, tmp_path):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(CardError, match=expected):
        load_card(str(tmp_path / "a.csv"), targets=targets)


def test_a_file_that_is_not_there_and_one_of_another_kind(tmp_path):
    with pytest.raises(CardError, match=r"no data card .*nowhere\.csv"):
        load_card(str(tmp_path / "nowhere.csv"))
    (tmp_path / "a.docx").write_text("x")
    with pytest.raises(CardError, match=r"a\.docx is neither a card \(\.yaml\) nor a table of molecules \(\.smi, "):
        load_card(str(tmp_path / "a.docx"))


def test_the_datamodule_takes_it(tmp_path, cache):
    path = written(tmp_path, "a.csv")
    data = MoleculeData(str(path), batch_size=2, targets=["toxic"])
    data.setup()
    assert [t.name for t in data.targets] == ["toxic"]
    assert sum(map(len, data.records.values())) == 10
    again = MoleculeData("a.csv", root=str(tmp_path), targets=["toxic"])
    again.setup()
    assert [r.id for r in again.records["train"]] == [r.id for r in data.records["train"]]

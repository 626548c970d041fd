"""The shipped data come out of the generator again, and out of the sources they state."""

from collections import defaultdict

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import rdkit
from rdkit import Chem
from tokenizers import Tokenizer

from molfusion.data.alpaca import read_questions
from molfusion.data.card import load_card
from molfusion.data.records import load_records
from molfusion.demo.build import nci_graphs, pair_rows, question_files
from molfusion.demo.vocabulary import train_tokenizer
from molfusion.paths import package_path

FOLDER = package_path("package://molfusion/demo")


def recorded_rdkit(name):
    """The release that made the file; the tests that need the very same one skip elsewhere."""
    made_by = pq.read_schema(FOLDER / name).metadata[b"rdkit"].decode()
    if made_by != rdkit.__version__:
        pytest.skip(f"{name} was made by RDKit {made_by}, here is {rdkit.__version__}: conformers may differ")


@pytest.mark.slow
def test_the_generator_makes_the_same_rows():
    recorded_rdkit("pairs.parquet")
    flat = dict(nci_graphs())
    shipped = defaultdict(list)
    for row in pq.read_table(FOLDER / "pairs.parquet").to_pylist():
        shipped[row["group"]].append(row)
    names = list(shipped)
    order = {name: i for i, name in enumerate(flat)}
    assert [order[name] for name in names] == sorted(order[name] for name in names)
    sample = names[:: len(names) // 8]
    assert any(p["kind"] == "chi" for name in sample for r in shipped[name] for p in r["pools"])
    schema = pq.read_schema(FOLDER / "pairs.parquet")
    for name in sample:
        assert pa.Table.from_pylist(pair_rows(name, flat[name]), schema=schema).to_pylist() == shipped[name]


# -- QM9 ---------------------------------------------------------------------------------------------

HARTREE = 27.211386245988  # eV, CODATA 2018
COLUMNS = {
    "mu": ("Dipole_debye", 1), "alpha": ("Polarizability_bohr3", 1), "homo": ("HOMO_au", HARTREE),
    "lumo": ("LUMO_au", HARTREE), "gap": ("HOMO_LUMO_gap_au", HARTREE), "r2": ("R2_bohr2", 1),
    "zpve": ("ZPVE_au", HARTREE), "u0": ("InternalEnergy_0K_au", HARTREE), "u": ("InternalEnergy_298K_au", HARTREE),
    "h": ("Enthalphy_298K_au", HARTREE), "g": ("GibbsFreeEnergy_298K_au", HARTREE),
    "cv": ("Heatcapacity_Cv_cal_mol_K", 1),
}  # fmt: skip


@pytest.fixture(scope="module")
def qm9():
    return pq.read_table(FOLDER / "qm9.parquet").to_pylist()


def published(ids):
    """Rows of the package's CSV files for these molecules only: columns are read, but nothing else is parsed."""
    try:
        folder = package_path("package://qm9pack/data")
    except FileNotFoundError as error:
        pytest.skip(str(error))
    wanted = pa.array([int(i.removeprefix("qm9-")) for i in ids])
    columns = ["Index", "SMILES", "Elements", "XYZ_Ang", *(c for c, _ in COLUMNS.values())]
    options = pa.csv.ConvertOptions(include_columns=columns)
    for path in sorted(folder.glob("qm9_part*.csv")):
        table = pa.csv.read_csv(path, pa.csv.ReadOptions(block_size=1 << 24), convert_options=options)
        yield from table.filter(pa.compute.is_in(table["Index"], wanted)).to_pylist()


def test_qm9_is_as_published(qm9):
    found = {f"qm9-{row['Index']}": row for row in published([r["id"] for r in qm9])}
    table = Chem.GetPeriodicTable()
    for row in qm9:
        source = found[row["id"]]
        assert row["smiles"] == source["SMILES"]
        elements = source["Elements"].strip("[]").replace("'", "").split(",")
        assert row["numbers"] == [table.GetAtomicNumber(e) for e in elements]
        numbers = source["XYZ_Ang"].replace("*^", "e").replace("[", "").replace("]", "").split(",")
        assert np.abs(np.array(row["positions"]) - np.array(numbers, dtype=float)).max() < 6e-5, row["id"]
        for name, (column, scale) in COLUMNS.items():
            assert row[name] == pytest.approx(scale * source[column], rel=1e-6, abs=1e-6), (row["id"], name)


def test_qm9_gap_is_lumo_minus_homo(qm9):
    for row in qm9:
        assert row["gap"] == pytest.approx(row["lumo"] - row["homo"], abs=0.01), row["id"]


# -- vocabulary --------------------------------------------------------------------------------------


SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def shipped_tokenizer():
    return Tokenizer.from_file(str(FOLDER / "tokenizer.json"))


def test_the_vocabulary_is_small_and_cased():
    tokenizer = shipped_tokenizer()
    assert [tokenizer.token_to_id(s) for s in SPECIALS] == [0, 1, 2, 3, 4]
    assert tokenizer.get_vocab_size() == 1000
    assert tokenizer.encode("R is not r").ids != tokenizer.encode("r is not R").ids
    ids = tokenizer.encode("one", "two").ids
    assert [ids[0], ids[-1], ids.count(3)] == [2, 3, 2], "[CLS] one [SEP] two [SEP]"


def test_no_word_of_printable_characters_is_unknown():
    """Wherever in a word they stand: `DNA` must not become [UNK] because no caption has an A behind an N."""
    tokenizer = shipped_tokenizer()
    unknown = [chr(c) for c in range(33, 127) if 1 in tokenizer.encode(f"{chr(c)} a{chr(c)} {chr(c)}Z9").ids]
    assert not unknown
    assert tokenizer.decode(tokenizer.encode("DNA, NADH and CoA").ids) == "DNA, NADH and CoA"


def test_the_vocabulary_is_made_of_the_training_captions(cache):
    texts = [r.text for r in load_records(load_card("demo"), cache).records if r.split == "train"]
    assert train_tokenizer(texts).to_str() == shipped_tokenizer().to_str()


def test_questions_are_made_again_the_same(cache):
    made = question_files(300)
    assert sum(map(len, made.values())) == 2100
    for split, questions in made.items():
        assert read_questions(FOLDER / "questions" / f"{split}.json.gz", "demo_questions") == questions

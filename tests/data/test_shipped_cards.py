"""What the shipped cards promise: enough to load them wherever their files are, and refusals where they refuse."""

import gzip

import pytest

from molfusion.data import MoleculeData
from molfusion.data.card import CardError, load_card, shipped_cards
from molfusion.data.records import load_records
from molfusion.views import TextView

CHEBI = 'CID\tSMILES\tdescription\n1\tC/C=C\\\\C\tThe molecule is an alkene.\n1\tCCO\tThe molecule is "an" alcohol.\n'
NINE = ("bace", "bbbp", "clintox", "esol", "freesolv", "lipophilicity", "qm8", "sider", "tox21")


def small(name, folder):
    """The card, its row counts and checksums left out, so that a few lines can stand in for its files."""
    card = load_card(name, str(folder))
    for spec in card.files.values():
        spec.rows = spec.sha256 = None
    return card


@pytest.mark.parametrize("name", ["chebi20", "pubchem324k", "pcdes", "momu"])
def test_cards_of_text_read_their_format(tmp_path, cache, name):
    card = small(name, tmp_path)
    assert set(card.files) == {"train", "val", "test"}
    for spec in card.files.values():
        assert spec.url.startswith("https://")
        (tmp_path / spec.path).write_text(CHEBI)
    records = load_records(card, cache).records
    assert [r.split for r in records] == ["train"] * 2 + ["val"] * 2 + ["test"] * 2
    assert records[0].smiles == "C/C=C\\C"
    assert (records[1].text, records[1].group) == ('The molecule is "an" alcohol.', "1")


def lines(card, prefix):
    """A file of ten molecules with the card's columns; labels 0, 1, 0, …"""
    columns = list(card.columns.items())
    text = ",".join(f'"{c}"' for c in [*(c for _, c in columns), *(t.column for t in card.targets)]) + "\n"
    for smiles in ("CCO", "c1ccccc1", "C1CCNCC1", "CC", "CCC", "c1ccncc1", "C1CCCCC1", "CCN", "CO", "CS"):
        cells = [smiles if field == "smiles" else prefix + smiles for field, _ in columns]
        text += ",".join([*cells, *(str(k % 2) for k in range(len(card.targets)))]) + "\n"
    return text


@pytest.mark.parametrize("name", NINE)
def test_moleculenet_cards_read_their_columns(tmp_path, cache, name):
    card = small(name, tmp_path)
    assert card.name == name
    assert shipped_cards()[f"moleculenet/{name}"].is_file()
    (tmp_path / "train.csv.gz").write_bytes(gzip.compress(lines(card, "a").encode()))
    (tmp_path / "valid.csv").write_text(lines(card, "b"))
    records = load_records(card, cache).records
    assert len(records) == 20
    assert {r.split for r in records} == {"train", "val", "test"}
    assert all(len(r.targets) == len(card.targets) for r in records)
    assert records[0].targets == tuple(float(k % 2) for k in range(len(card.targets)))
    kinds = {t.kind for t in card.targets}
    assert ("classification" in kinds) == (name in {"bace", "bbbp", "clintox", "sider", "tox21"})
    assert all(spec.sha256 or spec.optional for spec in load_card(name).files.values())


def test_realtext_holds_scaffolds_out_of_train(tmp_path, cache):
    rings = [f"{'C' * n}{ring}" for n in range(1, 8) for ring in ("c1ccccc1", "c1ccncc1", "C1CCNCC1", "C1CCOC1", "c1ccsc1")]
    head = "source\tcid\tsmiles\ttext\theavy\n"
    for file, molecules in (("train", rings), ("valid", ["CCO", "CCN"])):
        lines = [f"a\t{i}\t{smiles}\tIt is {smiles}.\t3\n" for i, smiles in enumerate(molecules)]
        (tmp_path / f"{file}.tsv.gz").write_bytes(gzip.compress((head + "".join(lines)).encode()))
    card = small("realtext", tmp_path)
    card.split.holdout = {"val": 0.4}
    found = load_records(card, cache)
    assert not found.dropped
    splits = [r.split for r in found.records]
    assert splits.count("test") == 2
    assert 0 < splits.count("val") < splits.count("train")


def test_momu_refuses_models_that_read_text():
    with pytest.raises(CardError, match=r"card momu is not for models that read text: .* mis-paired"):
        MoleculeData("momu", views=frozenset({TextView()}))
    MoleculeData("momu", views=frozenset({TextView(reads="smiles")}))
    MoleculeData("pcdes", views=frozenset({TextView()}))

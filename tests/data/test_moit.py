import json
import os
import pickle
from collections import Counter

import numpy as np
import pytest

from molfusion.cli import main
from molfusion.data import unpickle
from molfusion.data.card import CardError, load_card
from molfusion.data.moit import convert, entries
from molfusion.data.records import load_records
from tests.data.moit import embedded, pubchem_record, qc_record, question, write_dataset, write_lmdb

pytest.importorskip("lmdb", reason="reading LMDB needs the extra `moit`")


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("3d-mol-dataset"))


@pytest.fixture(scope="module")
def made(published, tmp_path_factory):
    out = tmp_path_factory.mktemp("converted")
    return out, convert(published, out)


def test_cards_have_the_names_under_which_published_results_know_them(made):
    out, _ = made
    names = {load_card(str(out / folder / "card.yaml")).name for folder in ("questions", "captions")}
    assert names == {"3d_moit", "3d_moit_captions"}


def records(out, name, cache):
    return load_records(load_card(str(out / name / "card.yaml")), cache)


def test_questions_become_records_with_their_molecules(made, cache):
    out, _ = made
    found = records(out, "questions", cache)
    assert not found.dropped
    by_split = Counter(r.split for r in found.records)
    assert by_split == {"train": 5, "val": 2, "test": 6}
    phenol = next(r for r in found.records if r.prompt == "What is the LogP?" and r.group == "pubchem-3")
    assert (phenol.smiles, phenol.text) == ("c1ccccc1O", "The LogP for the input molecule is 3.25.")
    atoms, places = embedded("c1ccccc1O")
    assert len(phenol.geometry.numbers) == len(atoms)
    np.testing.assert_array_equal(phenol.geometry.positions, places.astype(np.float32))  # the first of two conformers
    assert next(r for r in found.records if r.group == "pubchem-4").text == "The molecule is number 4."


def test_no_molecule_is_in_two_splits(made, cache):
    """4 was in train and test, 9 in pretrain and train; later files of questions held the earlier ones."""
    out, converted = made
    for name in ("questions", "captions", "pretraining"):
        splits = {}
        for record in records(out, name, cache).records:
            splits.setdefault(record.group, set()).add(record.split)
        assert all(len(s) == 1 for s in splits.values()), name
    assert converted.left_out == {
        "a molecule of train that test has too": 1,
        "a molecule of pretrain that train has too": 1,
        "a question in a file of train about a molecule of test": 1,
        "a question in a file of valid about a molecule of train": 2,
        "a question in a file of valid about a molecule of test": 1,
        "a question in a file of test about a molecule of train": 2,
        "a question in a file of test about a molecule of valid": 1,
        "a question that came before": 1,  # of 4, once from its list of train and once from that of test
        "a question about a molecule that is not there": 1,
    }
    assert "2 × a question in a file of test about a molecule of train" in load_card(str(out / "questions" / "card.yaml")).caveats


def test_pretraining_takes_the_enriched_texts_and_the_others_do_not(made, cache):
    out, _ = made
    texts = {r.id: (r.split, r.text) for r in records(out, "pretraining", cache).records}
    assert texts["pubchem-1"] == ("train", "Enriched: The molecule is number 1.")
    assert texts["pubchem-5"] == ("val", "The molecule is number 5.")
    assert "pubchem-3" not in texts
    captions = {r.id: (r.split, r.text) for r in records(out, "captions", cache).records}
    assert captions["pubchem-3"] == ("train", "The molecule is number 3.")


def test_atoms_in_another_order_are_put_in_that_of_the_smiles(made, cache):
    out, _ = made
    alanine = next(r for r in records(out, "questions", cache).records if r.group == "pubchemqc-3")
    _, places = embedded("C[C@H](N)C(=O)O")
    heavy = alanine.geometry.positions[:6]
    distances = np.linalg.norm(heavy[:, None] - heavy[None], axis=-1)
    expected = np.linalg.norm(places[:6, None] - places[None, :6], axis=-1)
    np.testing.assert_allclose(distances, expected, atol=1e-4)


def test_the_command_says_what_it_did(published, tmp_path, capsys):
    assert main(["cards", "convert", "3d-moit", str(published), "--out", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "train: questions 2 × Caption, 2 × LogP, 1 × HOMO" in out
    assert "left out: 1 × a molecule of train that test has too" in out
    assert str(tmp_path / "questions" / "card.yaml") in out


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["convert", "3d-moit"], "takes a format and a folder"),
        (["convert", "other", "x", "--out", "y"], "takes a format and a folder"),
        (["convert", "3d-moit", "."], "say with --out FOLDER"),
        (["convert", "3d-moit", "/nonexistent", "--out", "y"], "is it the folder of 3d-mol-dataset?"),
    ],
)
def test_mistakes_are_named(words, expected, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["cards", *words]) == 2
    assert expected in capsys.readouterr().err


class Bomb:
    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


@pytest.mark.parametrize(
    ("bomb", "named"),
    [
        (Bomb(os.system, "true"), "posix.system"),
        (Bomb(eval, "1"), "builtins.eval"),
        (Bomb(getattr, 1, "real"), "builtins.getattr"),
        (Bomb(print, "x"), "builtins.print"),
        (Bomb(np.load, "x"), "numpy.load"),
        (Bomb(__import__, "os"), "builtins.__import__"),
    ],
)
def test_a_pickle_that_asks_for_more_than_data_is_refused(bomb, named, tmp_path):
    value = pubchem_record("1", "CCO") | {"description": bomb}
    write_lmdb(tmp_path / "bad.lmdb", {"1": pickle.dumps(value)})
    with pytest.raises(CardError, match=rf"record b'1': UnpicklingError: asks for {named}, which no record needs"):
        list(entries(tmp_path / "bad.lmdb"))


def test_nothing_is_executed(tmp_path):
    trace = tmp_path / "trace"
    write_lmdb(tmp_path / "bad.lmdb", {"1": pickle.dumps(Bomb(os.mkdir, str(trace)))})
    with pytest.raises(CardError, match=r"asks for posix\.mkdir"):
        list(entries(tmp_path / "bad.lmdb"))
    assert not trace.exists()


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (pickle.dumps([1, 2]), "is a list, expected a dict"),
        (pickle.dumps({"smiles": "C"}), "KeyError: 'atoms'"),
        (pickle.dumps({"atoms": ["C"], "coordinates": [np.zeros((2, 3))]}), r"has coordinates \[2, 3\] of 1 atoms"),
        (pickle.dumps({"atoms": ["C"], "coordinates": [np.full((1, 3), np.nan)]}), "has coordinates"),
        (b"no pickle at all", "UnpicklingError"),
        (pickle.dumps({"atoms": ["C"], "coordinates": [np.zeros((1, 3))]})[:-9], "record b'1'"),
        (b"\x80\x05\x8e\xff\xff\xff\xff\xff\x00\x00\x00.", "record b'1'"),  # says that it is a terabyte
    ],
)
def test_a_broken_record_is_named(value, why, tmp_path):
    write_lmdb(tmp_path / "bad.lmdb", {"1": value})
    with pytest.raises(CardError, match=why):
        list(entries(tmp_path / "bad.lmdb"))


def test_a_file_that_is_no_database_is_named(tmp_path):
    (tmp_path / "no.lmdb").write_bytes(b"x" * 4096)
    with pytest.raises(CardError, match=r"no\.lmdb: "):
        list(entries(tmp_path / "no.lmdb"))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_protocol_gives_the_same_arrays(protocol):
    record = pubchem_record("1", "CCO") | {"extra": (np.float64(1.5), b"x", {"a"}, np.array(["C", "O"], dtype=object))}
    found = unpickle.record(b"1", pickle.dumps(record, protocol))
    assert found == unpickle.record(b"1", pickle.dumps(record))
    assert found["conformers"] == 2


def test_arrays_that_numpy_1_wrote_are_read():
    plain = pickle.dumps({"atoms": ["C"], "coordinates": [np.ones((1, 3))]}, 2)
    old = plain.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    assert old != plain
    assert unpickle.record(b"1", old) == unpickle.record(b"1", plain)


def test_molecules_that_do_not_fit_their_coordinates_are_counted(tmp_path):
    wrong = pubchem_record("2", "CCO") | {"smiles": "CCN"}
    broken = pubchem_record("3", "CCO") | {"smiles": "C1CC"}
    write_lmdb(tmp_path / "pubchem" / "train" / "3d-pubchem.lmdb", {"1": pubchem_record("1", "CCO"), "2": wrong, "3": broken})
    made = convert(tmp_path, tmp_path / "out")
    assert made.molecules == {"train": 1}
    assert made.left_out == {"a molecule: the coordinates are of other atoms than": 1, "a molecule: not a SMILES:": 1}


def test_questions_of_pubchemqc_belong_to_the_first_file_that_asks(tmp_path):
    write_lmdb(tmp_path / "pubchemqc" / "pubchemqc_database.lmdb", {"3": qc_record("3", "CCO"), "4": qc_record("4", "CCN")})
    growing = []
    for split, key in (("train", "3"), ("test", "4")):
        growing.append(question(key, "HOMO", "-6.1 eV"))
        path = tmp_path / "pubchemqc" / split / "3d_computed_properties_unit.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(growing))
    made = convert(tmp_path, tmp_path / "out")
    assert made.questions == {"train": {"HOMO": 1}, "test": {"HOMO": 1}}
    assert made.left_out == {"a question in a file of test about a molecule of train": 1}

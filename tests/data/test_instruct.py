import json
from collections import Counter

import pytest

from molfusion.cli import main
from molfusion.data import instruct
from molfusion.data.card import CardError, load_card
from molfusion.data.records import load_records
from molfusion.metrics.numeric import RANGES, parse
from molfusion.tasks.answers import property_of


@pytest.fixture(scope="module")
def made(tmp_path_factory, cache):
    """The card of QM9 samples as questions."""
    card = load_card("demo_qm9")
    records = load_records(card, cache).records[:60]
    out = tmp_path_factory.mktemp("questions")
    counts = instruct.write(card, records, out)
    return out, records, counts


def test_every_answer_can_be_read_back(made, cache):
    """The numbers of the targets (dipole, HOMO, LUMO, gap) to three decimals, by the official rule, under the right name."""
    out, records, _ = made
    known = {r.id: r for r in records}
    names = {"Dipole Moment": 0, "HOMO": 2, "LUMO": 3, "HOMO-LUMO Gap": 4}
    found = load_records(load_card(str(out / "card.yaml")), cache).records
    assert {property_of(r.text) for r in found} == {*names, "Molecular Weight", "LogP", "Topological Polar Surface Area"}
    for record in found:
        name, source = property_of(record.text), known[record.group]
        if name in names:
            assert parse(record.text) == pytest.approx(source.targets[names[name]], abs=5.1e-4)
        assert parse(record.text) in RANGES.get(name, RANGES["LogP"])
        assert record.smiles == source.smiles
        assert record.split == source.split
        assert (record.geometry.positions == source.geometry.positions).all()
        assert name in record.prompt
        unit = record.text.rstrip(".").rpartition(" ")[2]
        assert name == "LogP" or f"in {unit}." in record.prompt


def test_counts_and_wordings(made):
    out, records, counts = made
    assert sum(sum(tasks.values()) for tasks in counts.values()) == 7 * len(records)
    asked = [q["instruction"] for split in counts for q in json.loads((out / f"{split}.json").read_text()) if q["task"] == "HOMO"]
    assert len(set(asked)) > 3
    assert all("{" not in q for q in asked)


def test_the_same_questions_every_time(made, tmp_path):
    out, records, _ = made
    instruct.write(load_card("demo_qm9"), records, tmp_path)
    assert (tmp_path / "train.json").read_bytes() == (out / "train.json").read_bytes()


def test_by_hand(card, tmp_path, cache):
    """Ethanol has a caption and a number of 0.1 eV; the fourth molecule was not measured. Classes are not asked for."""
    loaded = load_card(str(card))
    records = load_records(loaded, cache).records
    counts = instruct.write(loaded, records, tmp_path, ["number", "Molecular Weight", "Caption"])
    assert counts["train"] == {"number": 15, "Molecular Weight": 16, "Caption": 16}
    told = {(q["input"], q["task"]): q["output"] for q in json.loads((tmp_path / "train.json").read_text())}
    assert told["c0", "number"] == "The number of this molecule is 0.100 eV."
    assert told["c0", "Molecular Weight"] == "The Molecular Weight of this molecule is 46.07 g/mol."
    assert told["c0", "Caption"] == "It is an alcohol. It has two carbons."
    assert ("c3", "number") not in told
    with pytest.raises(CardError, match="cannot be asked for 'class'; it can for: number, Molecular Weight"):
        instruct.write(loaded, records, tmp_path, ["class"])


def test_the_command(card, tmp_path, capsys):
    assert main(["cards", "instruct", str(card), "--out", str(tmp_path), "--ask", "LogP"]) == 0
    out = capsys.readouterr().out
    assert "train: 16 × LogP" in out
    assert str(tmp_path / "card.yaml") in out
    assert main(["cards", str(tmp_path / "card.yaml")]) == 0
    assert "{'train': 16, 'val': 4, 'test': 4}; 0 rows left out" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "expected"),
    [(["instruct", "demo"], "say with --out FOLDER"), (["instruct", "--out", "x"], "cards instruct takes 1 card, found 0")],
)
def test_mistakes_are_named(words, expected, capsys):
    assert main(["cards", *words]) == 2
    assert expected in capsys.readouterr().err


# -- Alpaca files of others --------------------------------------------------------------------------


def alpaca(folder, questions, molecules=""):
    (folder / "train.json").write_text(json.dumps(questions) if not isinstance(questions, str) else questions)
    path = folder / "card.yaml"
    path.write_text(f"name: mine\nlicence: MIT\nformat: alpaca\nfiles: {{train: {{path: train.json}}}}\n{molecules}")
    return load_card(str(path))


def test_input_may_be_a_smiles(tmp_path, cache):
    card = alpaca(tmp_path, [
        {"instruction": "Is it big?", "input": "CCO", "output": "No.\n", "task": "size"},
        {"instruction": "What is it?", "input": "CCO", "output": "Ethanol."},
        {"instruction": "What is it?", "input": "C1CC", "output": "Nothing."},
    ])  # fmt: skip
    found = load_records(card, cache)
    assert [(r.id, r.smiles, r.group, r.prompt, r.text) for r in found.records] == [
        ("train-1", "CCO", "CCO", "Is it big?", "No."), ("train-2", "CCO", "CCO", "What is it?", "Ethanol."),
    ]  # fmt: skip
    assert [(d.id, "not a SMILES" in d.reason) for d in found.dropped] == [("train-3", True)]


@pytest.mark.parametrize(
    ("questions", "why"),
    [
        ([], "no list of questions, or an empty one"),
        ({"instruction": "a"}, "no list of questions"),
        ([{"instruction": "a", "input": 7, "output": "b"}], "question 1 is not of the form {instruction, input, output}"),
        ("[{", "cannot read"),
    ],
)
def test_what_is_no_alpaca_file_is_refused(questions, why, tmp_path, cache):
    with pytest.raises(CardError, match=why):
        load_records(alpaca(tmp_path, questions), cache)


def test_a_question_about_nobody_is_left_out_and_a_changed_table_is_read_again(made, tmp_path, cache):
    out, records, _ = made
    (tmp_path / "molecules.parquet").write_bytes((out / "molecules.parquet").read_bytes())
    about = [{"instruction": "?", "input": key, "output": "!"} for key in (records[0].id, "nobody")]
    card = alpaca(tmp_path, about, "molecules: {path: molecules.parquet}\n")
    found = load_records(card, cache)
    assert [r.group for r in found.records] == [records[0].id]
    assert [d.reason for d in found.dropped] == ["no molecule 'nobody' in molecules.parquet"]
    before = card.digest()
    instruct.write_molecules(records[1:], tmp_path / "molecules.parquet")
    assert card.digest() != before
    with pytest.raises(CardError, match=f"no molecule {records[0].id!r}"):
        load_records(card, cache)


def test_a_table_without_smiles_is_named(made, tmp_path, cache):
    out, _, _ = made
    card = alpaca(
        tmp_path,
        [{"instruction": "?", "input": "x", "output": "!"}],
        f"molecules: {{path: {out / 'molecules.parquet'}}}\ncolumns: {{smiles: structure}}\n",
    )
    with pytest.raises(CardError, match="has no column 'structure' \\(for smiles\\); it has: id, smiles"):
        load_records(card, cache)


def test_counter_of_tasks_is_by_split(made):
    _, _, counts = made
    assert all(isinstance(tasks, Counter) for tasks in counts.values())
    assert set(counts) == {"train", "val", "test"}

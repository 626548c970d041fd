import json

import pytest

from molfusion.baselines import baseline
from molfusion.cli import main
from molfusion.config import ConfigError
from molfusion.data import instruct
from molfusion.data.card import load_card
from molfusion.data.datamodule import MoleculeData
from molfusion.data.records import load_records

LINES = """id,smiles,caption,split
a,CCCCO,It is an alcohol.,train
b,CCCCN,It is an amine.,train
c,c1ccccc1Cl,It is aromatic.,train
d,CCCCCO,It is an alcohol.,val
e,CCCCCN,It is an amine.,test
f,c1ccccc1Br,It is aromatic and heavy.,test
"""


@pytest.fixture(scope="module")
def captions(tmp_path_factory):
    folder = tmp_path_factory.mktemp("captions")
    (folder / "data.csv").write_text(LINES)
    (folder / "card.yaml").write_text(
        "name: small\nlicence: MIT\nfiles: {all: {path: data.csv}}\n"
        "columns: {id: id, smiles: smiles, text: caption}\nsplit: {by: column, column: split}\n"
    )
    return folder / "card.yaml"


def opened(path):
    data = MoleculeData(str(path))
    data.prepare_data()
    data.setup()
    return data


def test_nearest_takes_the_text_of_the_most_similar_molecule(captions):
    metrics, rows = baseline("Captioning", "nearest")(opened(captions))
    said = {r["id"]: r["text"] for r in rows}
    assert said == {"d": "It is an alcohol.", "e": "It is an amine.", "f": "It is aromatic."}
    assert metrics["val/ROUGE-L"] == 100
    assert metrics["test/ROUGE-1"] == pytest.approx((100 + 100 * 2 * 3 / (3 + 5)) / 2)
    assert metrics["test/generated"] == 2
    assert "test/loss" not in metrics


def test_random_takes_a_training_text_and_always_the_same(captions):
    data = opened(captions)
    metrics, rows = baseline("Captioning", "random")(data)
    again = baseline("Captioning", "random")(data)
    assert [r["text"] for r in rows] == [r["text"] for r in again[1]]
    assert {r["text"] for r in rows} <= {"It is an alcohol.", "It is an amine.", "It is aromatic."}
    assert metrics == again[0]


@pytest.mark.parametrize(("name", "why"), [("calculator", "what RDKit computes"), ("mean", "is for a number")])
def test_captions_are_not_computed(captions, name, why):
    with pytest.raises(ConfigError, match=why):
        baseline("Captioning", name)(opened(captions))


@pytest.fixture(scope="module")
def questions(captions, tmp_path_factory, cache):
    card = load_card(str(captions))
    out = tmp_path_factory.mktemp("questions")
    instruct.write(card, load_records(card, cache).records, out, ["Molecular Weight", "Caption"])
    return out / "card.yaml"


def test_a_question_gets_the_answer_to_the_same_question(questions):
    """1-pentanamine (87.16) beside butylamine (73.14), bromobenzene (157.01) beside chlorobenzene (112.56)."""
    metrics, _ = baseline("Captioning", "nearest")(opened(questions))
    expected = (87.17 - 73.14 + 157.01 - 112.56) / 2
    assert metrics["test/Molecular Weight/MAE"] == pytest.approx(expected, abs=0.02)
    assert metrics["test/Molecular Weight/valid"] == 1
    assert metrics["test/ROUGE-1"] == pytest.approx((100 + 75) / 2)


def test_the_calculator_answers_what_it_can(questions):
    metrics, rows = baseline("Captioning", "calculator")(opened(questions))
    assert metrics["test/Molecular Weight/penalised_MAE"] == 0
    assert metrics["test/generated"] == 2  # of four questions
    assert "test/ROUGE-1" not in metrics
    assert [r["text"] is None for r in rows if r["split"] == "test"] == [False, True, False, True]


def test_the_mean_is_that_of_training(questions):
    metrics, _ = baseline("Captioning", "mean")(opened(questions))
    mean = (74.12 + 73.14 + 112.56) / 3
    assert metrics["test/Molecular Weight/MAE"] == pytest.approx((abs(87.17 - mean) + 157.01 - mean) / 2, abs=0.02)
    assert metrics["test/Molecular Weight/MAE"] == metrics["test/Molecular Weight/penalised_MAE"]


def test_a_papers_class_has_the_baselines_of_its_task():
    assert baseline("QFormerCaptioning", "nearest") is baseline("Captioning", "nearest")
    assert baseline("QFormerProjection", "chance") is baseline("Retrieval", "chance")
    with pytest.raises(ConfigError, match="known: nearest, random, mean, calculator"):
        baseline("QFormerCaptioning", "chance")


# -- scoring again -----------------------------------------------------------------------------------


@pytest.fixture
def predictions(tmp_path, questions):
    import pyarrow as pa
    import pyarrow.parquet as pq

    _, rows = baseline("Captioning", "nearest")(opened(questions))
    rows.append({**rows[0], "text": None})
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "predictions.parquet")
    return tmp_path / "predictions.parquet"


def test_the_same_texts_under_another_tokenizer(predictions, tmp_path, capsys):
    folder = tmp_path / "words_uncased"
    folder.mkdir()
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "it", "is", "an", "amine", "aromatic", "and", "heavy", "alcohol", "."]
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")
    assert main(["rescore", str(predictions), "--tokenizer", str(folder), "--tokenizer", "molfusion"]) == 0
    found = dict(line.split() for line in capsys.readouterr().out.replace("Molecular Weight", "MW").splitlines())
    assert found["val/BLEU-2@words_uncased"] == "100.0000"
    assert found["test/MW/valid"] == "1.0000"
    assert found["val/generated"] == "2.0000"  # one row has no text
    assert {"test/METEOR@molfusion", "test/METEOR@words_uncased"} <= found.keys()


def test_the_official_file_is_read(tmp_path, capsys):
    lists = {"prediction": ["-1.5 eV", "an acid"], "target": ["The HOMO for the input molecule is -2.0 eV.", "an acid"]}
    (tmp_path / "predictions.txt").write_text(f"{json.dumps(lists)}\n")
    assert main(["rescore", str(tmp_path / "predictions.txt"), "--truncation", "9"]) == 0
    out = capsys.readouterr().out
    assert "test/HOMO/MAE 0.5000" in out
    assert "test/BLEU-2@molfusion:9 100.0000" in out


@pytest.mark.parametrize(
    ("content", "extra", "why"),
    [
        (None, [], "no file"),
        ("{}\n", [], "line 1: expected lists"),
        ("", [], "holds no generated text"),
        ('{"prediction": ["a"], "target": ["b"]}\n', ["--tokenizer", "./nowhere"], "nowhere"),
    ],
)
def test_mistakes_are_named(content, extra, why, tmp_path, capsys):
    path = tmp_path / "predictions.txt"
    if content is not None:
        path.write_text(content)
    assert main(["rescore", str(path), *extra]) == 2
    assert why in capsys.readouterr().err

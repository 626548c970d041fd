import pytest

from molfusion.cli import main
from tests.audit.helpers import PAIRS


@pytest.fixture
def folder(tmp_path):
    for name, shift in (("good", 0), ("bad", 1)):
        lines = [f"{i}\t{smiles}\t{PAIRS[(i + shift) % len(PAIRS)][1]}\n" for i, (smiles, _) in enumerate(PAIRS)]
        (tmp_path / f"{name}.tsv").write_text("i\ts\tt\n" + "".join(lines))
        (tmp_path / f"{name}.yaml").write_text(
            f"name: {name}\ntitle: T\nlicence: MIT\nfiles: {{train: {{path: {name}.tsv}}}}\n"
            "columns: {id: i, smiles: s, text: t}\n"
        )
    return tmp_path


def test_check_tells_a_good_file_from_a_shifted_one(folder, capsys):
    assert main(["cards", "check", str(folder / "good.yaml")]) == 0
    out = capsys.readouterr().out
    assert "card good: 24 records, 0 rows left out" in out
    assert "0 errors, 0 warnings, 0 notes" in out
    assert main(["cards", "check", str(folder / "bad.yaml")]) == 1
    assert "looks mis-paired" in capsys.readouterr().out


def test_check_says_what_a_card_lacks(tmp_path, capsys):
    (tmp_path / "bare.csv").write_text("smiles\nCCO\nCCN\n")
    main(["cards", "check", str(tmp_path / "bare.csv")])
    told = capsys.readouterr().out
    assert "  card bare has no texts for Retrieval, Captioning and Generation: name their column" in told
    assert "  card bare has no targets for Property: name their columns" in told


def test_overlap_prints_each_pair_of_splits(folder, capsys):
    assert main(["cards", "overlap", str(folder / "good.yaml"), str(folder / "bad.yaml")]) == 0
    assert "24 (100.0 %)" in capsys.readouterr().out


def test_root_is_given_once_a_card(folder, tmp_path, capsys):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "bad.tsv").write_text("i\ts\tt\n1\tCCCCCCC\tIt is heptane.\n")
    cards = [str(folder / "good.yaml"), str(folder / "bad.yaml")]
    assert main(["cards", "overlap", *cards, "--root", str(folder), "--root", str(elsewhere)]) == 0
    assert "0 (0.0 %)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["overlap", "demo"], "cards overlap takes 2 cards, found 1: demo"),
        (["check"], "cards check takes 1 card, found 0"),
        (["demo", "demo_qm9"], "takes 1 card, found 2"),
        (["check", "demo", "--root", "a", "--root", "b"], "--root was given 2 times for 1 card"),
        (["fetch", "realtext"], "the card has no url for it: give the folder it is in with --root"),
        (["fetch", "chebi20"], "names no sha256"),
    ],
)
def test_mistakes_are_named(words, expected, capsys):
    assert main(["cards", *words]) == 2
    assert expected in capsys.readouterr().err


def test_cards_are_listed_and_described(capsys):
    assert main(["cards"]) == 0
    assert "moleculenet/bbbp" in capsys.readouterr().out
    assert main(["cards", "demo_qm9"]) == 0
    assert "records: " in capsys.readouterr().out

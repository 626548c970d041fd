import pytest

from molfusion.data.card import CardError, load_card, sha256, shipped_cards

GOOD = "name: x\nlicence: MIT\nfiles: {train: {path: d.csv}}\ncolumns: {smiles: s}\n"


def card(folder, text, data="s\nCCO\n"):
    if data is not None:
        (folder / "d.csv").write_text(data)
    (folder / "card.yaml").write_text(text)
    return str(folder / "card.yaml")


@pytest.mark.parametrize("path", shipped_cards().values(), ids=lambda p: p.stem)
def test_every_shipped_card_reads_and_is_named_like_its_file(path):
    found = load_card(str(path))
    assert found.name == path.stem
    assert found.title
    assert found.licence


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("licence", "licens"), r"card\.yaml: unknown key 'licens'; did you mean 'licence'\?"),
        (("path", "pth"), r"unknown key 'files\.train\.pth'; did you mean 'path'\?"),
        (("files: {train: {path: d.csv}}", "files: {}"), "`files` is empty"),
        (("train:", "training:"), "'training' is none of train, val, test"),
        (("{path: d.csv}", "{path: d.csv, rows: many}"), "rows"),
        (("columns", "split: {by: colour}\ncolumns"), "split.by is 'colour'"),
        (("columns", "split: {by: column}\ncolumns"), "name it in split.column"),
        (("columns", "split: {by: random, fractions: [1, 1, 1]}\ncolumns"), "sum to 1"),
        (("columns", "targets: [{column: y, kind: odd}]\ncolumns"), "neither regression nor classification"),
    ],
)
def test_mistakes_are_named(tmp_path, change, expected):
    path = card(tmp_path, GOOD.replace(*change))
    with pytest.raises(CardError, match=expected) as caught:
        load_card(path)
    assert "\n" not in str(caught.value)


def test_an_unknown_card_is_guessed():
    with pytest.raises(CardError, match="did you mean 'demo'"):
        load_card("demoo")


def test_files_are_checked(tmp_path):
    path = card(tmp_path, GOOD)
    assert load_card(path).path_of("train").name == "d.csv"
    wrong = GOOD.replace("d.csv}", f"d.csv, sha256: {'a' * 64}}}")
    with pytest.raises(CardError, match=r"has sha256 .* the card says aaaa"):
        load_card(card(tmp_path, wrong)).path_of("train")
    right = GOOD.replace("d.csv}", f"d.csv, sha256: {sha256(tmp_path / 'd.csv')}}}")
    load_card(card(tmp_path, right)).path_of("train")
    (tmp_path / "d.csv").write_text("")
    with pytest.raises(CardError, match="is empty"):
        load_card(path).path_of("train")
    (tmp_path / "d.csv").unlink()
    with pytest.raises(CardError, match="no file"):
        load_card(path).path_of("train")


def test_root_moves_relative_paths(tmp_path):
    path = card(tmp_path, GOOD)
    other = tmp_path / "elsewhere"
    other.mkdir()
    (other / "d.csv").write_text("s\nC\n")
    assert load_card(path, str(other)).path_of("train") == other / "d.csv"
    assert load_card(path, str(other)).digest() != load_card(path).digest()

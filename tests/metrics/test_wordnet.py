import gzip

import pytest

from molfusion.metrics import wordnet, wordnet_build
from molfusion.metrics.wordnet import WordNet


def synonyms(word):
    return {lemma.name() for synset in WordNet.synsets(word) for lemma in synset.lemmas()}


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("car", {"auto", "automobile", "machine"}),
        ("Cars", {"auto"}),
        ("mice", {"mouse"}),
        ("inhibited", {"inhibit", "suppress"}),
        ("odour", {"odor", "smell"}),
        ("colourless", {"colorless"}),
        ("boxeses", {"box"}),  # nltk 3.8.1 strips endings until a word is known
    ],
)
def test_known_synonyms(word, expected):
    assert expected <= synonyms(word)


@pytest.mark.parametrize("word", ["##ate", "c9h8o4", ",", "", "zzzs"])
def test_what_is_no_word_has_none(word):
    assert synonyms(word) == set()


def test_the_table_is_whole_and_its_licence_goes_with_it():
    lines = gzip.decompress(wordnet.TABLE.read_bytes()).decode().splitlines()
    assert [line for line in lines if line[0] in "=~"] == [f"{m} {k}" for k in wordnet.KINDS for m in "=~"]
    assert len(lines) > 80_000
    assert "WordNet 3.0 Copyright 2006 by Princeton University" in wordnet.LICENCE.read_text()


def test_build_from_the_original_format(tmp_path):
    head = "  1 This is the licence.  \n  2   \n  3 All of it.  \n"
    data = {
        "noun": "00000001 03 n 03 mouse 0 Mus 0 house_mouse 0 000 | a rodent\n00000002 03 n 01 hot_dog 0 000 | food\n"
        "00000003 03 n 02 comic_strip 0 strip 0 000 | drawings\n",
        "verb": "",
        "adj": "00000004 00 a 02 free(p) 0 loose(ip) 0 000 | not bound\n",
        "adv": "",
    }
    for kind, lines in data.items():
        (tmp_path / f"data.{kind}").write_text(head + lines)
        (tmp_path / f"{kind}.exc").write_text("mice mouse\ncomics comic_strip\nhot_dogs hot_dog\n" if kind == "noun" else "")
    wordnet_build.build(tmp_path, tmp_path / "out")
    table = gzip.decompress((tmp_path / "out" / wordnet.TABLE.name).read_bytes()).decode()
    assert table == (
        "= noun\ncomic_strip strip\nmouse Mus\n~ noun\ncomics comic_strip\nmice mouse\n"
        "= verb\n~ verb\n= adj\nfree loose\n~ adj\n= adv\n~ adv\n"
    )
    assert (tmp_path / "out" / wordnet.LICENCE.name).read_text() == "This is the licence.\n\nAll of it.\n"

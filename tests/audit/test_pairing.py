from dataclasses import replace

import pytest

from molfusion.audit.elements import claims
from molfusion.audit.pairing import pairing
from tests.audit.helpers import levels, pairs, subject


def test_a_clean_file_is_silent():
    assert pairing(subject(pairs())) == []
    assert pairing(subject(pairs(repeat=8))) == []


@pytest.mark.parametrize("shift", [1, 2, 7, 23])
def test_shifted_captions_are_an_error(shift):
    (found,) = pairing(subject(pairs(shift=shift)))
    assert found.level == "error"
    assert found.message.startswith("train (rtrain0-")
    assert "looks mis-paired" in found.message
    assert found.examples


def test_only_the_split_that_is_shifted_is_named():
    (found,) = pairing(subject(pairs() + pairs(shift=1, split="test")))
    assert found.message.startswith("test ")


def test_a_shifted_stretch_of_a_good_file_is_found():
    good, bad = pairs(repeat=20), pairs(shift=1, repeat=20)
    records = good[:240] + bad[240:360] + good[360:]
    findings = pairing(subject(records))
    assert set(levels(findings)) == {"error"}
    assert all(f.message.startswith("a part of train") for f in findings)
    first = int(findings[0].message.split("rtrain")[1].split("-")[0])
    last = int(findings[-1].message.split("to rtrain")[1].split("-")[0])
    assert 8 <= first <= 11  # rows 240 to 360 are repeats 10 to 14
    assert 14 <= last <= 16


def test_single_mistakes_are_a_note():
    records = pairs(repeat=2)
    records[0], records[1] = replace(records[0], text=records[1].text), replace(records[1], text=records[0].text)
    (found,) = pairing(subject(records))
    assert found.level == "note"
    assert found.message.startswith("1 of 40 (2.5 %) texts")  # 20 of the 24 pairs name an element
    assert found.examples == ("rtrain0-1: no Cl in CCO, but 'It is a chlorocarboxylic acid.'",)


def test_texts_without_element_words_say_nothing():
    assert pairing(subject([r for r in pairs(shift=1) if not claims(r.text)] * 3)) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It is a chlorobenzene.", {"Cl"}),
        ("It is a chlorophyll.", set()),
        ("It is a fluorescent dye and a fluorochrome.", set()),
        ("It is a fluoroarene and a sulfonamide.", {"F", "S"}),
        ("It is a fluorophenyl and fluoromethyl compound.", {"F"}),
        ("It is a fluorophore.", set()),
        ("It treats fibromyalgia.", set()),
        ("It is a phosphatase inhibitor.", set()),
        ("It is a phospholane. It inhibits EC 3.1 (thiol hydrolase).", {"P"}),
        ("It is a periodic acid.", set()),
        ("It derives from an amino acid.", set()),
        ("It is the disodium salt of it.", {"Na"}),
        ("The sodium salt is the dye.", set()),
        ("It blocks a sodium channel.", set()),
    ],
)
def test_words_that_claim_an_element(text, expected):
    assert claims(text).keys() == expected

"""The page of all cards."""

import re

import pytest

from molfusion.data.card import load_card, shipped_cards
from molfusion.data.render import _cells, page, page_path


def test_the_page_is_that_of_the_cards():
    assert page_path().read_text() == page(), "data_cards/README.md is stale: run `make cards`"


def test_every_card_has_its_row_with_licence_and_caveats():
    rows = {m[1]: m[0] for m in re.finditer(r"^\| `([^`]+)` .*\|$", page(), re.MULTILINE)}
    assert list(rows) == list(shipped_cards())
    for name, path in shipped_cards().items():
        card = load_card(str(path))
        assert card.licence in rows[name]
        assert " ".join(card.caveats.split()) in page()
        assert " ".join(card.unfit_for_text.split()) in page()


CARD = """
name: small
title: Two | three molecules
licence: CC0-1.0
files: {%s}
targets: [{column: a, unit: eV}, {column: b, unit: eV}, {column: c}, {column: d, kind: classification}]
columns: {smiles: s}
split: {%s}
"""


@pytest.mark.parametrize(
    ("files", "split", "expected"),
    [
        ("train: {path: a.csv, rows: 1200}, test: {path: b.csv, rows: 5}", "by: file", ("1,205", "train 1,200, test 5")),
        ("train: {path: a.csv}, test: {path: b.csv, rows: 5}", "by: file", ("5 and train (not stated)", "train, test 5")),
        ("all: {path: a.csv}", "by: column, column: fold", ("not stated", "column fold")),
        (
            "train: {path: a.csv, rows: 3}", "by: random, fractions: [0.8, 0.1, 0.1], seed: 7, holdout: {val: 0.05}",
            ("3", "random 0.8 / 0.1 / 0.1, seed 7, 0.05 of train's scaffolds as val"),
        ),
    ],
)  # fmt: skip
def test_one_row(files, split, expected, tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(CARD % (files, split))
    name, title, records, splits, targets, licence, source = _cells("small", load_card(str(path)))
    assert (name, title, licence, source) == ("`small`", "Two | three molecules", "CC0-1.0", "not shipped: `--root`")
    assert (records, splits) == expected
    assert targets == "a, b (eV); c (no unit); d (label)"

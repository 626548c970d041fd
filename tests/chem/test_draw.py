import re
from xml.etree import ElementTree

import pytest

from molfusion.chem.draw import drawn


def test_a_drawing_is_small_and_well_formed():
    inside = drawn("C[C@H](N)C(=O)Nc1ccc(cc1)S(=O)(=O)c1ccccc1")
    assert inside is not None
    assert len(inside) < 6000
    tree = ElementTree.fromstring(f"<svg>{inside}</svg>")
    letters = [e.text for e in tree.iter("text")]
    assert letters.count("S") == 1
    assert letters.count("O") == 3
    assert not re.search(r"\bid=|class=|href|<script", inside)
    bonds = [e for e in tree.iter("path") if "stroke" in e.attrib]
    assert len(bonds) >= 20  # each in the colour of its atoms


@pytest.mark.parametrize("given", [None, "", "C1CC", "no molecule"])
def test_what_is_no_molecule_has_no_drawing(given):
    assert drawn(given) is None

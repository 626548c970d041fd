import pytest

from molfusion.chem.grid import draw_grid
from molfusion.chem.similarity import cosine, fingerprint, kekulised, levenshtein, molecule, tanimoto


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [("", "", 0), ("abc", "", 3), ("kitten", "sitting", 3), ("CCO", "CCO", 0), ("CCO", "CCCO", 1), ("ab", "ba", 2)],
)
def test_levenshtein(a, b, expected):
    assert levenshtein(a, b) == levenshtein(b, a) == expected


@pytest.mark.parametrize("kind", ["maccs", "morgan2", "morgan3", "rdk"])
def test_a_molecule_is_like_itself_and_unlike_others(kind):
    one, other = fingerprint(molecule("CCOC(=O)c1ccccc1"), kind), fingerprint(molecule("NCCS"), kind)
    assert tanimoto(one, [one, other])[0] == cosine(one, one) == pytest.approx(1.0)
    assert 0 <= tanimoto(one, [other])[0] < 0.5


def test_counts_count():
    """Ethane: two CH3 and their bond. Propane: two CH3, CH2, two bonds seen from a CH3, both from CH2. Shared: two CH3."""
    ethane, propane = (fingerprint(molecule(s), "counts2") for s in ("CC", "CCC"))
    assert tanimoto(ethane, [propane]) == [pytest.approx(2 / (3 + 6 - 2))]


def test_what_is_no_molecule():
    assert molecule(None) is None
    assert molecule("") is None
    assert molecule("C1CC") is None
    assert kekulised("") is not None  # as the released evaluation has it
    assert kekulised(None) is None
    assert kekulised("C(C)(C)(C)(C)C") is None


def test_an_empty_fingerprint_is_like_nothing():
    empty, other = fingerprint(kekulised(""), "morgan2"), fingerprint(kekulised("CCO"), "morgan2")
    assert cosine(empty, other) == cosine(empty, empty) == 0.0


def test_grid():
    png, svg = draw_grid(["CCO", "c1ccccc1", "[Na+].[Cl-]", "C", "CC", "CCC"], ["0.11", "", "", "", "", ""])
    assert png.startswith(b"\x89PNG")
    assert "<svg" in svg
    assert "width='1200px' height='480px'" in svg
    with pytest.raises(ValueError, match="no molecule to draw"):
        draw_grid([], [])

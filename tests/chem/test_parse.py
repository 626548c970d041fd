import pytest

from molfusion.chem.parse import ChemError, canonical_order, parse, unescape


@pytest.mark.parametrize(
    ("smiles", "reason"),
    [
        ("", "empty"),
        ("not a smiles", "not a SMILES"),
        ("C1CC", "not a SMILES"),
        ("C(C)(C)(C)(C)C", "valence for atom # 0 C, 5"),
        ("c1cccc1", "kekulize"),
    ],
)
def test_the_reason_is_told(smiles, reason):
    with pytest.raises(ChemError, match=f"(?i){reason}"):
        parse(smiles)


def test_unescape():
    assert unescape("C/C=C\\\\C") == "C/C=C\\C"
    assert unescape("C/C=C\\C") == "C/C=C\\C"


def test_canonical_order_maps_each_atom():
    mol = parse("OCCN")
    text, order = canonical_order(mol)
    written = [a.GetSymbol() for a in parse(text).GetAtoms()]
    assert [mol.GetAtomWithIdx(i).GetSymbol() for i in order] == written

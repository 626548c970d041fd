from molfusion.chem.identity import identify, inchikey
from molfusion.chem.parse import parse


def test_inchikeys_and_what_they_unite():
    assert inchikey(parse("OCC")) == inchikey(parse("CCO")) == "LFQSCWFLJHTTHZ-UHFFFAOYSA-N"  # ethanol, as published
    assert inchikey(parse("NCC(=O)O")) == inchikey(parse("[NH3+]CC(=O)[O-]"))
    assert inchikey(parse("C[C@H](F)Cl")) != inchikey(parse("C[C@@H](F)Cl"))


def test_a_molecule_without_inchi_is_itself():
    assert inchikey(parse("*CO")) == "*CO"


def test_identity():
    found = identify(parse("C[C@H](F)Cl"))
    assert (found.graph, found.elements) == ("CC(F)Cl", {"C", "F", "Cl"})

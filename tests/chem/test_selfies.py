import numpy as np
import pytest
import selfies
from rdkit import Chem

from molfusion.chem.parse import ChemError, canonical, parse
from molfusion.chem.selfies import alphabet, atom_tokens, read, spell


def test_hand_checked_acetamide():
    found = spell(parse("NC(C)=O"))
    assert found.tokens == ["[C]", "[C]", "[Branch1]", "[C]", "[N]", "[=O]"]
    assert found.order == [2, 1, 0, 3]  # CC(N)=O
    assert atom_tokens(found.tokens).tolist() == [0, 1, 4, 5]


def test_one_spelling_a_molecule():
    for smiles in ("c1ccc(cc1C)O", "OC(=O)c1ncccc1N", "C/C=C/[C@H](O)c1c[nH]c2ccccc12"):
        mol = parse(smiles)
        ways = [mol, *(parse(Chem.MolToSmiles(mol, doRandom=True)) for _ in range(5))]
        assert len({tuple(spell(way).tokens) for way in ways}) == 1


def test_order_and_elements_of_a_salt():
    mol = parse("[Na+].[O-]C(=O)c1ccccc1.Cl")
    found = spell(mol)
    at = atom_tokens(found.tokens)
    assert len(at) == len(found.order) == mol.GetNumAtoms()
    for place, atom in zip(at, found.order, strict=True):
        assert mol.GetAtomWithIdx(atom).GetSymbol() in found.tokens[place]
    assert found.tokens.count(".") == 2
    assert not set(at.tolist()) & {i for i, t in enumerate(found.tokens) if t == "."}


@pytest.mark.parametrize(
    "smiles",
    ["C", "[He]", "[Na+].[Cl-]", "[CH3]", "[2H]OC", "[13CH4]", "F/C=C\\F", "N[C@@H](C)C(=O)O", "C[S@](=O)CC", "[Fe+2]", "[H][H]",
     "CS(=O)(=O)c1ccccc1", "F[P-](F)(F)(F)(F)F", "c1ccc2c(c1)[nH]c1ccccc12"],
)  # fmt: skip
def test_there_and_back(smiles):
    mol = parse(smiles)
    assert read(spell(mol).tokens) == canonical(mol)


@pytest.mark.parametrize(
    ("smiles", "reason"),
    [("*C", "failed to parse"), ("[NH3]->[Pt]", "to parse"), ("C$C", "to parse"), ("CI(C)C", "semantic constraints")],
)
def test_what_has_none(smiles, reason):
    with pytest.raises(ChemError, match=f"no SELFIES: .*{reason}"):
        spell(parse(smiles))


def test_constraints_are_chosen_and_left_as_they_were():
    before = selfies.get_semantic_constraints()
    mol = parse("CI(C)C")  # iodine with three bonds
    found = spell(mol, "hypervalent")
    assert read(found.tokens, "hypervalent") == canonical(mol)
    assert read(found.tokens) != canonical(mol)  # cut to one bond
    with pytest.raises(ChemError):
        spell(parse("CS(C)(=O)=O"), "octet_rule")
    assert selfies.get_semantic_constraints() == before


def test_not_strict_may_be_another_molecule():
    found = spell(parse("CI(C)C"), strict=False)
    assert read(found.tokens) not in (None, "CI(C)C")


def test_every_row_of_common_tokens_is_a_molecule_and_others_are_none():
    common = [t for t in alphabet() if "Branch" in t or t in ("[C]", "[=C]", "[N]", "[=O]", "[F]", "[#N]", "[Ring1]", "[Ring2]")]
    rng = np.random.default_rng(0)
    assert all(read(["[C]", *rng.choice(common, 20)]) for _ in range(30))
    assert read(["[Xx]"]) is None
    assert read([]) is None


def test_the_alphabet():
    tokens = alphabet()
    assert len(tokens) == len(set(tokens)) == 2627
    # Checkpoints number tokens by this order: a change of it must be deliberate.
    some = (".", "[Branch1]", "[C]", "[=O]", "[C@@H1]", "[Na+1]", "[2H]")
    assert [tokens.index(t) for t in some] == [0, 1, 43, 210, 1089, 1395, 2549]
    assert "[CH4-1]" not in tokens  # no such atom: a row with it would be no molecule
    assert "[IH3]" not in alphabet("default")
    assert "[IH3]" in alphabet("hypervalent")

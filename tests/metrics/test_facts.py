import pytest

from molfusion.chem.parse import ChemError
from molfusion.data.card import load_card
from molfusion.data.records import load_records
from molfusion.demo.reading import Claim, read
from molfusion.metrics.facts import check, scores

ASPIRIN = "CC(=O)Oc1ccccc1C(=O)O"  # C9H8O4: one ring, aromatic, benzene, ortho; one acid, one ester


def test_every_sentence_of_the_demo_set_is_read_and_true(cache):
    records = load_records(load_card("demo"), cache).records
    for record in records:
        for fact in record.facts:
            reading = read(fact.text)
            assert reading.unread == 0, fact
            assert {claim.kind for claim in reading.claims} == {fact.kind}, fact
    some = records[::7]
    texts = [r.text for r in some]
    found = scores(texts, [r.smiles for r in some], texts)
    assert found["facts/precision"] == found["facts/recall"] == 1
    assert found["facts/hallucination"] == found["facts/unread"] == 0
    assert found["facts/claims"] > 10


def test_by_hand():
    """Right: formula, one ester, benzene. Wrong: two acids, two rings. Of the three wanted claims two are made."""
    said = (
        "Its molecular formula is C9H8O4. It carries two carboxylic acids and one ester. "
        "It has two rings, one of them aromatic, including benzene. It is delicious."
    )
    wanted = "The formula reads C9H8O4. It contains one carboxylic acid and one ester."
    found = scores([said], [ASPIRIN], [wanted])
    assert found["facts/precision"] == pytest.approx(4 / 6)
    assert found["facts/hallucination"] == pytest.approx(2 / 6)
    assert found["facts/recall"] == pytest.approx(2 / 3)
    assert found["facts/unread"] == pytest.approx(1 / 4)
    assert found["facts/claims"] == 6
    assert found["facts/groups/precision"] == pytest.approx(1 / 2)
    assert found["facts/rings/precision"] == pytest.approx(2 / 3)
    assert "facts/rings/recall" not in found  # nobody asked


@pytest.mark.parametrize(
    ("smiles", "said", "right"),
    [
        ("C[C@H](N)O", "The stereocentre has the R configuration.", True),
        ("C[C@@H](N)O", "The stereocentre has the R configuration.", False),
        ("C[C@H](N)O", "Its stereocentres are one R and one S.", False),
        ("CCO", "Its only stereocentre is S.", False),
        ("C/C=C/C", "The double bond geometry is E.", True),
        ("C/C=C\\C", "The double bond geometry is E.", False),
        ("C/C=C/C=C\\C", "The double bond geometry is E and Z.", True),
        ("C1CC1", "It is acyclic.", False),
        ("CCO", "There is no ring in the skeleton.", True),
        ("CCO", "No bonds can rotate freely.", True),
        (ASPIRIN, "A six-membered aromatic ring is substituted in para position.", False),
        (ASPIRIN, "A six-membered aromatic ring is substituted in ortho position.", True),
    ],
)
def test_claims_are_held_against_the_molecule(smiles, said, right):
    rows = [row for row in check(said, smiles, "") if row["stated"]]
    assert rows
    assert all(row["true"] for row in rows) is right


def test_what_only_the_coordinates_show_is_held_against_the_caption():
    said = "It spans 9.5 angstrom. The chain is bent."
    found = scores([said, said], ["CCO", "CCO"], ["It spans 10.0 angstrom.", "It spans 12.0 angstrom."])
    assert found["facts/span/precision"] == found["facts/span/recall"] == 0.5
    assert "facts/fold/precision" not in found  # the captions are silent on it


def test_a_claim_repeated_counts_once():
    assert scores(["It is acyclic. It is acyclic. It is acyclic."], ["C1CC1"], [""])["facts/claims"] == 2


def test_a_language_models_spelling_is_read():
    assert read("it carries one ester , two ethers and one azo group .").claims == [
        Claim("groups", "ester", 1), Claim("groups", "ether", 2), Claim("groups", "azo group", 1),
    ]  # fmt: skip
    assert read("the radius of gyration is 3 . 4 angstrom").claims == [Claim("gyration", "", 3.4)]
    assert read("the skeleton holds one ring ( one aromatic ) .").claims == [
        Claim("rings", "all", 1), Claim("rings", "aromatic", 1),
    ]  # fmt: skip


@pytest.mark.parametrize("said", ["It carries some ester.", "It contains one unobtainium.", "It spans far angstrom."])
def test_nonsense_is_unread(said):
    assert read(said).unread == 1


def test_no_caption_makes_no_claim():
    found = scores([""], [ASPIRIN], ["It is acyclic."])
    assert found["facts/recall"] == 0
    assert found["facts/claims"] == 0
    assert "facts/precision" not in found


def test_no_molecule_is_an_error():
    with pytest.raises(ChemError):
        scores(["It is acyclic."], ["C1CC"], [""])

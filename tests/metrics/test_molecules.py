import pytest

from molfusion.metrics.generation import Asked, inchikeys, scores
from molfusion.metrics.molecules import compare, maccs_cosine, means, novelty, qualified, released, uniqueness

BENZOIC, TOLUENE = "OC(=O)c1ccccc1", "Cc1ccccc1"


def test_compare():
    same = compare("c1ccccc1C(O)=O", BENZOIC)
    assert same == (1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
    assert compare(None, BENZOIC) == compare("not one", BENZOIC) == (0.0,) * 6
    other = compare("CCO", "CCCO")
    assert (other.valid, other.exact) == (1.0, 0.0)
    assert other.spelling == pytest.approx(0.75)  # one of four characters
    assert 0 < other.morgan < 1
    with pytest.raises(ValueError, match="reference 'x' is no molecule"):
        compare("CCO", "x")


def test_exact_is_by_inchi():
    """Mirror images differ; a tautomer that InChI unites does not."""
    assert compare("C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O").exact == 0.0
    assert compare("Cc1c[nH]cn1", "Cc1cnc[nH]1").exact == 1.0


def test_means_count_what_is_invalid():
    found = means([compare(BENZOIC, BENZOIC), compare(None, BENZOIC)])
    assert found["valid"] == found["exact"] == found["maccs"] == 0.5


def test_uniqueness_and_novelty():
    samples = ["CCO", "OCC", "CCN", None, "x"]
    assert uniqueness(samples) == pytest.approx(2 / 3)
    assert novelty(samples, ["C(O)C"]) == 0.5
    assert uniqueness([None]) == novelty([], ["C"]) == 0.0


def test_released_by_hand():
    """Benzoic acid, asked twice: itself and nothing for the first, methane and itself for the second."""
    found = released([BENZOIC, BENZOIC], [[BENZOIC, None], ["C", BENZOIC]])
    assert found["Validity"] == 0.75
    assert found["Similarity"] == pytest.approx(2 / 3)
    assert found["Novelty"] == 0.0
    assert found["Diversity"] == 0.0  # each with its reference only
    assert "Diversity/samples" not in found
    assert released([BENZOIC], [[None]]) == {"Validity": 0.0}


def test_released_counts_between_the_thresholds_as_new():
    close = maccs_cosine(TOLUENE, BENZOIC)
    assert 0.5 <= close < 0.8
    assert qualified(TOLUENE, BENZOIC)
    found = released([BENZOIC], [[TOLUENE, BENZOIC]])
    assert found["Novelty"] == 0.5
    assert found["Diversity"] == pytest.approx(2 / 3 * found["Diversity/samples"])  # of three pairs one is of equals


def test_scores_of_a_split():
    asked = [Asked("a", "g", BENZOIC, [BENZOIC, TOLUENE]), Asked("b", "h", "CCO", [None, "CCO"])]
    metrics, rows = scores(asked, inchikeys(["OCC", "x"]))
    assert metrics["valid"] == metrics["Validity"] == 0.75
    assert metrics["exact"] == 0.5
    assert metrics["uniqueness"] == 1.0
    assert metrics["novelty"] == pytest.approx(2 / 3)
    assert metrics["score"] == metrics["maccs"] == pytest.approx(sum(r["score"] for r in rows) / 4)
    assert metrics["qualified"] == pytest.approx(sum(r["qualified"] for r in rows) / 4) == 0.75
    assert [(r["id"], r["group"], r["sample"], r["generated"]) for r in rows] == [
        ("a", "g", 0, BENZOIC), ("a", "g", 1, TOLUENE), ("b", "h", 0, None), ("b", "h", 1, "CCO"),
    ]  # fmt: skip
    assert "novelty" not in scores(asked)[0]

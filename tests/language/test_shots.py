from molfusion.language.shots import Shots
from tests.language.helpers import model, record

RECORDS = [record(f"m{i}", text=f"Answer {i}.", prompt="Weight?" if i % 2 else "") for i in range(8)] + [record("e", text=" ")]


def test_examples_of_the_same_question_and_never_the_record_itself():
    shots = Shots.drawn(RECORDS, 2, seed=0)
    for key in ("m1", "m3", "m5", "m7"):
        chosen = shots.before(key, "Weight?")
        assert len(chosen) == 2
        assert all(s.question == "Weight?" and s.id != key for s in chosen)


def test_a_question_that_training_does_not_know_gets_any():
    shots = Shots.drawn(RECORDS, 2, seed=0)
    assert len(shots.before("x", "Colour?")) == 2
    assert "e" not in {s.id for known in shots.known.values() for s in known}, "it has no answer"


def test_the_seed_decides():
    drawn = [Shots.drawn(RECORDS, 3, seed=s).known for s in (0, 0, 1)]
    assert drawn[0] == drawn[1]
    assert drawn[0] != drawn[2]


def test_questions_are_bounded():
    many = [record(f"m{i}", prompt=f"Question {i}?") for i in range(2 * Shots.MOST_QUESTIONS)]
    assert len(Shots.drawn(many, 1, 0).known) == Shots.MOST_QUESTIONS + 1


def test_an_example_reads_like_a_prompt_that_was_answered():
    view = model().view
    assert view.example("CCO", "Weight?", "46.07 g/mol.") == "Molecule: CCO\nWeight?\n46.07 g/mol.</s>\n"

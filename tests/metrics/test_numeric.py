import math

import pytest

from molfusion.metrics import numeric


@pytest.mark.parametrize(
    ("answer", "official", "sane"),
    [
        ("The HOMO for the input molecule is -5.954 eV.", -5.954, -5.954),
        ("about 12 g/mol", None, 12.0),
        ("1.5e-3", 1.5, 0.0015),
        ("C1CC1 weighs 42.08 or 43.1", 42.08, 1.0),
        ("unknown", None, None),
        ("", None, None),
        (".5", None, 5.0),
    ],
)
def test_the_first_number_counts(answer, official, sane):
    assert numeric.parse(answer) == official
    assert numeric.parse(answer, integers=True) == sane


@pytest.mark.parametrize(
    ("task", "inside", "outside"),
    [
        ("HOMO", ["19.99", "-19.99"], ["20.0", "-20.0"]),
        ("SCF Energy", ["-4.9"], ["0.0", "-5.0", "1.2"]),
        ("Topological Polar Surface Area", ["0.0", "1999.9"], ["-0.1", "2000.0"]),
        ("Molecular Weight", ["0.1"], ["0.0", "4000.0"]),
        ("Dipole Moment", ["1000000.0"], []),
    ],
)
def test_ranges(task, inside, outside):
    found = numeric.answers(inside + outside, [task] * len(inside + outside))
    assert [math.isfinite(v) for v in found] == [True] * len(inside) + [False] * len(outside)


def test_silence_does_not_pay():
    """HOMO: one answer of three is valid and off by 1; the others count as the training mean of -6, off by 1 and 3."""
    found = numeric.scores(
        ["It is -6.0 eV.", "I do not know.", "-400.0"],
        ["-7.0 eV", "-7.0 eV", "-9 eV"],
        ["HOMO"] * 3,
        train_means={"HOMO": -6.0},
    )
    assert found == pytest.approx({"HOMO/MAE": 1.0, "HOMO/valid": 1 / 3, "HOMO/penalised_MAE": (1 + 1 + 3) / 3})


def test_tasks_are_apart_and_what_cannot_be_said_is_not_said():
    found = numeric.scores(["no", "2.0"], [1.0, 2.5], ["LogP", "gap"], train_means={"gap": 0.0})
    assert found == pytest.approx({"LogP/valid": 0.0, "gap/MAE": 0.5, "gap/valid": 1.0, "gap/penalised_MAE": 0.5})


def test_training_means():
    assert numeric.means(["1.0", "2", "The LogP is 4.0."], ["a", "a", "LogP"]) == {"a": 1.5, "LogP": 4.0}


def test_a_right_answer_must_hold_a_number():
    with pytest.raises(ValueError, match="'none at all' holds no number"):
        numeric.scores(["1.0"], ["none at all"], ["LogP"])

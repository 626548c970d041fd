import numpy as np

from molfusion.audit import CHECKS, Subject, audit
from molfusion.audit.duplicates import duplicates
from molfusion.audit.escapes import escapes
from molfusion.audit.leaks import leaks
from molfusion.audit.overlap import overlap
from molfusion.audit.prompts import prompts
from molfusion.audit.targets import targets
from molfusion.audit.texts import texts
from molfusion.audit.unparsable import unparsable
from molfusion.batch import Geometry
from molfusion.data.card import load_card
from tests.audit.helpers import Dropped, TargetSpec, levels, pairs, record, subject

CLEAN = [record(0, "CCO", split="train"), record(1, "c1ccccc1", split="val"), record(2, "C1CCNCC1", split="test")]


def test_a_clean_card_passes_every_check(cache):
    found = dict(audit(Subject.of(load_card("demo_qm9"), cache)))
    assert set(found) == set(CHECKS)
    assert not any("error" in levels(f) for f in found.values())
    assert [f for f in (unparsable, duplicates, leaks, texts, prompts, targets) if f(subject(CLEAN))] == []


def test_rows_left_out_are_grouped_by_reason():
    rows = [
        Dropped("a", "xx", "not a SMILES: 'xx'"),
        Dropped("b", "yy", "not a SMILES: 'yy'"),
        Dropped("c", "", "the SMILES is empty"),
    ]
    first, second = unparsable(subject(CLEAN, rows))
    assert first.message == "2 of 6 (33.3 %) rows are left out: not a SMILES"
    assert first.examples == ("a: not a SMILES  xx", "b: not a SMILES  yy")
    assert "the SMILES is empty" in second.message


def test_doubled_backslashes_are_counted_in_the_file(tmp_path, cache):
    (tmp_path / "d.csv").write_text("s\nC/C=C\\\\C\nC/C=C\\C\nCC\n")
    (tmp_path / "c.yaml").write_text("name: x\nlicence: MIT\nfiles: {train: {path: d.csv}}\ncolumns: {smiles: s}\n")
    (found,) = escapes(Subject.of(load_card(str(tmp_path / "c.yaml")), cache))
    assert found.message.startswith("1 of 3 (33.3 %)")
    assert found.examples == ("C/C=C\\\\C",)
    (tmp_path / "d.csv").write_text("s\nC/C=C\\C\nCC\n")
    assert escapes(Subject.of(load_card(str(tmp_path / "c.yaml")), cache)) == []


def test_duplicates_are_not_conformers():
    twice = [record(0, "OCC", "CCO"), record(1, "CCO")]
    (found,) = duplicates(subject([*twice, record(2, "CCN")]))
    assert found.message.startswith("1 of 3 (33.3 %) rows of train")
    assert found.examples == ("r0, r1: CCO",)
    assert duplicates(subject([record(0, "CCO", group="g"), record(1, "CCO", group="g")])) == []
    assert duplicates(subject([record(0, "CCO"), record(1, "CCO", split="test")])) == []  # that is a leak
    shapes = [Geometry(np.array([6, 6, 8], np.uint8), np.full((3, 3), i, np.float32)) for i in range(2)]
    assert duplicates(subject([record(i, "CCO", geometry=g) for i, g in enumerate(shapes)])) == []


def test_labels_that_disagree():
    by_class = [TargetSpec(column="y", kind="classification")]
    rows = [record(0, "CCO", targets=(1.0,)), record(1, "CCO", targets=(0.0,), split="val")]
    (found,) = duplicates(subject(rows, targets=by_class))
    assert found.message == "y: 1 molecules have several labels that differ"
    assert found.examples == ("r0, r1: CCO: 1, 0",)
    agreeing = [record(0, "CCO", targets=(1.0,)), record(1, "CCO", targets=(float("nan"),), split="val")]
    assert duplicates(subject(agreeing, targets=by_class)) == []
    number = [TargetSpec(column="y")]
    spread = [record(i + 2, "C" * (i + 3), targets=(float(i),)) for i in range(5)]
    near, far = (1.0, 1.1), (0.0, 4.0)
    for values, count in ((near, 0), (far, 1)):
        pair = [record(i, "CCO", targets=(v,), split=s) for i, v, s in zip((0, 1), values, ("train", "val"), strict=True)]
        assert len(duplicates(subject(pair + spread, targets=number))) == count


def test_leaks_by_their_kind():
    train = [record(0, "OC(=O)C[NH3+]"), record(1, "C[C@H](N)O"), record(2, "Cc1ccccc1", text="It is toluene."), record(3, "CCO")]
    assert leaks(subject([*train, *CLEAN[2:]])) == []
    cases = {
        "CCO": ("error", "molecules of test are in train"),
        "C[C@@H](N)O": ("warning", "have a stereoisomer in train"),
        "CC(N)O": ("warning", "have a stereoisomer in train"),
        "Oc1ccccc1": ("note", "have a scaffold that is in train"),
    }
    for smiles, (level, words) in cases.items():
        (found,) = leaks(subject([*train, record(9, smiles, split="test")]))
        assert (found.level, words in found.message) == (level, True)
        assert found.examples == (f"r9: {smiles}",)
    (drawn,) = leaks(subject([record(0, "NCC(=O)O"), record(1, "[NH3+]CC(=O)[O-]", split="val")]))
    assert (drawn.level, "drawn otherwise" in drawn.message) == ("warning", True)
    (retold,) = leaks(subject([*train, record(9, "CCCC", text="It is toluene.", split="val")]))
    assert (retold.level, "word for word" in retold.message) == ("note", True)


def test_texts_that_are_missing_or_shared():
    rows = [record(0, "CCO", text="A."), record(1, "CCN", text="A."), record(2, "CCC", text=""), record(3, "C", text="B.")]
    empty, common = texts(subject(rows))
    assert (empty.level, empty.examples) == ("warning", ("r2",))
    assert (common.level, common.examples) == ("note", ("2 × A.",))
    assert texts(subject(pairs())) == []


def test_answers_in_prompts():
    asked = [record(i, "CCO", prompt=f"What is number {i}?", text=f"It is answer {i}.") for i in range(4)]
    assert prompts(subject(asked)) == []
    told = record(9, "CCO", prompt="The gap is 5.762 eV. What is the gap?", text="5.762 eV")
    (found,) = prompts(subject([*asked, told]))
    assert (found.level, found.message) == ("error", "1 of 5 (20.0 %) prompts contain their answer")
    choices = [record(i, "CCO", prompt=f"Does {i} dissolve, yes or no?", text="Yes") for i in range(4)]
    assert prompts(subject(choices)) == []
    similar = record(0, "CCO", prompt="Is it 15.762 eV?", text="5.762 eV")
    assert prompts(subject([similar])) == []


def test_molecules_spelled_out_in_their_texts():
    for text in ("Its SMILES is CC(N)C(=O)O as given.", "See QNAYBMKLOCPYGJ-UHFFFAOYSA-N there."):
        (found,) = prompts(subject([record(0, "CC(N)C(=O)O", text=text)]))
        assert (found.level, "SMILES or InChIKey" in found.message) == ("error", True)
    assert prompts(subject([record(0, "CCO", text="CCO is short for it.")])) == []
    (found,) = prompts(subject([record(0, "CCO", text="It is 2-(4-chlorophenyl)-3-methylbutanoic acid.")]))
    assert (found.level, found.examples) == ("note", ("r0: 2-(4-chlorophenyl)-3-methylbutanoic acid",))
    assert prompts(subject([record(0, "CCO", text="It was first made in 1912 by a well-known 3-person team.")])) == []


def test_targets_that_are_not_what_they_say():
    spec = [TargetSpec(column="a"), TargetSpec(column="b"), TargetSpec(column="c", kind="classification"), TargetSpec(column="d")]
    nan = float("nan")
    clean = [record(i, "C", targets=(float(i), float(-i), float(i % 2), nan if i % 3 else i**2)) for i in range(200)]
    assert targets(subject(clean, targets=spec)) == []

    def broken(k, values):
        rows = [record(i, "C", targets=(*r.targets[:k], values(i), *r.targets[k + 1 :])) for i, r in enumerate(clean)]
        return [(f.level, f.message) for f in targets(subject(rows, targets=spec))]

    assert broken(0, lambda i: 7.0) == [("warning", "a: every value is 7")]
    assert broken(0, lambda i: nan) == [("error", "a: no value at all: is the column the right one?")]
    assert broken(0, lambda i: float("inf") if i == 3 else i) == [("error", "a: 1 values are infinite")]
    assert broken(1, lambda i: float(i)) == [("warning", "b and a have the same values throughout")]
    assert broken(2, lambda i: float(i % 3)) == [("error", "c: a class is 0 or 1; 1 other values occur")]
    (outlier,) = broken(0, lambda i: 1e9 if i == 5 else float(i))
    assert "a: 1 of 200 (0.5 %) values lie more than 10 ranges" in outlier[1]


def test_overlap_by_split_and_identity():
    a = subject([record(0, "C[C@H](N)O"), record(1, "Cc1ccccc1"), record(2, "CCCCC", split="test")])
    b = subject(
        [record(0, "C[C@H](N)O", split="test"), record(1, "C[C@@H](N)O", split="test"), record(2, "Oc1ccccc1", split="test")]
    )
    train, test = overlap(a, b)
    assert (train.split_a, train.split_b, train.total) == ("train", "test", 3)
    assert (train.molecules, train.graphs, train.scaffolds) == (1, 2, 1)
    assert train.examples == ("r0", "r1")
    assert (test.split_a, test.molecules, test.graphs, test.scaffolds) == ("test", 0, 0, 0)

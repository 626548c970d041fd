from pathlib import Path

import numpy as np
import pytest

from molfusion import strategies
from molfusion.data.card import load_card
from molfusion.metrics import generation, numeric, property, retrieval, text
from molfusion.report import published as module
from molfusion.report.published import beside, published
from molfusion.report.results import Result, Row, Table

CONVERTED = {"3d_moit", "3d_moit_captions"}  # by the user, from 3D-MoIT's own files; see tests/data/test_moit.py


class Made(Result):
    """A result with its predictions given."""

    predictions = {}  # noqa: RUF012  (in place of the property that reads a file)


def row(label, metrics, card="x", targets=(), test=0, predictions=None, task="Generation", absent=()):
    kinds = [{"name": str(i), "kind": kind} for i, kind in enumerate(targets)]
    data = {"card": card, "targets": kinds, "records": {"test": test}, "absent": list(absent)}
    results = [Made(Path(), seed, {f"test/{m}": v for m, v in metrics.items()}, {"task": task, "data": data}) for seed in (0, 1)]
    for result in results:
        result.predictions = predictions or {}
    return Row(label, results)


def table(task, card, metrics, **given):
    return Table("t", "", [], [row("Mine", metrics, card, task=task, **given)])


def of(made, name):
    """The lines of the report on one printed table: what each says."""
    return [line[1:3] for line in beside(made).rows if line[0] == name]


# -- the file ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("printed", published(), ids=lambda p: p.name)
def test_every_row_is_whole_and_says_where_it_is_from(printed):
    assert printed.protocol
    assert bool(printed.cards) != bool(printed.elsewhere)
    for label, values in printed.rows.items():
        assert printed.sources.get(label, printed.source)[:3] in {"A: ", "B: "}
        assert len(values) == len(printed.cards if printed.by_card else printed.metrics)
        assert any(value is not None for value in values)
    assert printed.sources.keys() <= printed.rows.keys()
    assert printed.theirs.keys() <= set(printed.metrics)
    for card in set(printed.cards) - CONVERTED:
        load_card(card)


def reported(task, cards):
    """Names of metrics that a run can report, asked of the code that computes them."""
    if task == "Captioning":
        names = list(numeric.RANGES)
        known = text.scores(["a b"], ["a b"]) | numeric.scores(["1.5"] * len(names), ["1.5"] * len(names), names)
    elif task == "Retrieval":
        known = retrieval.named(retrieval.both_directions(np.eye(3), [""] * 3), "all")
    elif task == "Generation":
        known = generation.scores([generation.Asked("a", "a", "CCO", ["CCO", "CCN"])])[0]
    else:
        targets = [t for card in cards for t in load_card(card).target_list()]
        known = {"score": 0.0}
        for target in targets:
            known |= property.scores(np.array([[0.0], [1.0]]), np.array([[0.0], [1.0]]), [target])
    of_tokens = {name.partition("@")[0] for name in known if task == "Captioning" and "@" in name}
    return known.keys() | of_tokens, of_tokens


@pytest.mark.parametrize("printed", published(), ids=lambda p: p.name)
def test_every_metric_is_one_that_runs_report_or_says_why_not(printed):
    known, of_tokens = reported(printed.task, printed.cards)
    assert set(printed.metrics) - printed.theirs.keys() <= known
    assert not printed.theirs.keys() & known
    assert bool(printed.tokenizer) == bool(set(printed.metrics) & of_tokens)


def test_classes_are_those_of_the_cards():
    (printed,) = [p for p in published() if p.classes]
    kinds = [[t.kind for t in load_card(card).target_list()].count("classification") for card in printed.cards]
    assert printed.classes == kinds


def test_numbers_of_test_molecules_are_those_of_the_cards():
    for printed in published():
        for card in set(printed.cards) - CONVERTED if printed.test else ():
            assert load_card(card).files["test"].rows == printed.test


def test_the_claims_that_papers_make_recompute():
    """3D-MoLM: 6.47 above MoMu-Large in ROUGE-L. 3M-Diffusion: 146.27 % and 130.04 % above the best of the others."""
    rows = next(p.rows for p in published() if "contain the IUPAC" in p.protocol)
    assert rows["3D-MoLM, specialist"][4] - rows["MoMu-Large"][4] == pytest.approx(6.47)
    rows = dict(next(p.rows for p in published() if "3M-Diffusion's protocol" in p.name))
    best = rows.pop("3M-Diffusion")
    for at, gain in ((1, 1.4627), (2, 1.3004)):
        assert best[at] / max(r[at] for r in rows.values()) - 1 == pytest.approx(gain, abs=1e-4)


def test_the_papers_tasks_are_those_that_they_are_shown_with():
    for name, task in module._TASKS.items():
        assert task in {base.__name__ for base in getattr(strategies, name).__mro__}
    known = {n for n, c in vars(strategies).items() if isinstance(c, type) and c.__module__ == strategies.__name__}
    assert known - {"RelationBlending"} == set(module._TASKS)  # of pretraining nothing is printed


# -- beside ours, or why not -------------------------------------------------------------------------


def test_rows_stand_beside_ours_where_the_card_is_the_same():
    found = beside(table("Retrieval", "pcdes", {"m2t/R@20": 0.5, "t2m/R@20": 0.25})).rows
    assert [line[1:] for line in found] == [
        ["MolCA", "m2t/R@20 0.905, t2m/R@20 0.876", "A: the paper, quoted in MolCA's issue 3"],
        ["MolCA, run again by others", "m2t/R@20 0.792, t2m/R@20 0.796", "A: MolCA's issue 3"],
        ["ours: Mine", "m2t/R@20 0.500, t2m/R@20 0.250", "this run"],
    ]
    assert beside(table("QFormerProjection", "pcdes", {"m2t/R@20": 0.5})).rows[-1][1] == "ours: Mine"


def test_other_data_and_other_metrics_are_reasons():
    (line,) = beside(table("Retrieval", "demo", {})).rows
    assert line[1:3] == ["not shown", "theirs are on pcdes, ours on demo"]
    (line,) = beside(table("Retrieval", "pcdes", {"score": 1.0})).rows
    assert line[2] == "ours does not report m2t/R@20, t2m/R@20"
    (line,) = of(table("Property", "bace", {"score": 0.8}), "Frozen embeddings, mean ROC-AUC")
    assert line == ["not shown", "theirs are on 25 classification sets together, which no card of ours is, ours on bace"]
    assert beside(table("Pretraining", "demo", {})).rows == []


def test_another_split_of_the_same_card_is_a_reason():
    (line,) = beside(table("Retrieval", "pcdes", {"m2t/R@20": 0.5}, absent=["test"])).rows
    assert line[1:3] == ["not shown", "ours lacks the card's test file and splits what is left"]


def test_columns_that_are_cards():
    """One line says that none of them is ours; on one of them, its column is shown."""
    name = "MoleculeNet classification, ROC-AUC"
    ((_, why),) = of(table("Property", "demo_qm9", {}), name)
    assert why == "theirs are on bbbp, tox21, sider, clintox, bace, ours on demo_qm9"
    shown = dict(of(table("Property", "bace", {"score": 0.8}, targets=["classification"]), name))
    assert shown["MoleBLEND"] == "score 0.837"
    assert shown["ours: Mine"] == "score 0.800"


def test_a_score_of_other_targets_is_another_score():
    """BACE's card has a class and a number: of both, `score` is no ROC-AUC."""
    ((label, why),) = of(
        table("Property", "bace", {"score": 0.8}, targets=["classification", "regression"]), "MoleculeNet classification, ROC-AUC"
    )
    assert label == "not shown"
    assert why == (
        "theirs are of all classes of the card (1) and of no numbers, ours of classes: 1, numbers: 1 (data.targets)"
    )


CAPTIONS = "Captioning, ChEBI-20"


def test_other_tokens_make_another_bleu():
    mine = {"BLEU-4@molfusion:512": 30.0, "METEOR@molfusion:512": 40.0, "generated": 3300.0}
    assert of(table("Captioning", "chebi20", mine), CAPTIONS) == [
        ["not shown", "theirs count the tokens of scibert, ours those of molfusion (model.tokenizer)"]
    ]
    mine = {"BLEU-4@scibert_scivocab_uncased:512": 30.0, "METEOR@scibert_scivocab_uncased:512": 40.0, "generated": 3300.0}
    shown = dict(of(table("QFormerCaptioning", "chebi20", mine), CAPTIONS))
    assert shown["MolT5-Large"] == "BLEU-2 59.40, BLEU-4 50.80, METEOR 61.40"
    assert shown["MoMu-Small"] == "BLEU-4 44.50"  # two papers print two METEORs of it
    assert shown["ours: Mine"] == "BLEU-4 30.00, METEOR 40.00"
    mine["generated"] = 16.0
    assert of(table("Captioning", "chebi20", mine), CAPTIONS) == [
        ["not shown", "theirs are of 3,300 test molecules, ours of 16"]
    ]


def test_numbers_in_words_stand_with_their_valid_share():
    mine = {"Molecular Weight/MAE": 20.0, "Molecular Weight/valid": 0.5}
    shown = dict(of(table("Captioning", "3d_moit", mine), "Computed properties in words, 3D-MoIT"))
    assert shown["DeepMoLM, specialist"] == (
        "Molecular Weight/MAE 13.64, Molecular Weight/valid 1.000, Complexity/MAE 37.89, Complexity/valid 1.000"
    )
    assert shown["ours: Mine"] == "Molecular Weight/MAE 20.00, Molecular Weight/valid 0.500"


MOLT5, THREE_M = "Text to molecule, ChEBI-20, MolT5's protocol", "Text to molecule, PCDes, 3M-Diffusion's protocol"
MADE = {"exact": 0.1, "valid": 0.9, "maccs": 0.5, "Similarity": 0.5, "Novelty": 0.4, "Diversity": 0.3, "Validity": 0.9}


def samples(count, smiles="CCO"):
    return {"sample": np.arange(count), "smiles": np.array([smiles] * count)}


def test_one_molecule_a_text_is_not_several():
    several = table("LatentDiffusion", "chebi20", MADE, test=3300, predictions=samples(5))
    assert of(several, MOLT5) == [["not shown", "theirs make one a text, ours 5 (model.samples)"]]
    shown = dict(of(table("Generation", "chebi20", MADE, test=3290, predictions=samples(1)), MOLT5))
    assert shown["MolT5-Large"] == "BLEU 0.854, exact 0.311, Morgan 0.684, valid 0.905"
    assert shown["ours: Mine"] == "exact 0.100, valid 0.900"  # ours counts fingerprints of what is no molecule as 0
    single = table("Generation", "pcdes", MADE, predictions=samples(1))
    assert of(single, THREE_M) == [["not shown", "theirs make several a text, ours 1 (model.samples)"]]


def test_small_molecules_are_not_all():
    fewer = table("Generation", "chebi20", MADE, test=1965, predictions=samples(1))
    assert of(fewer, MOLT5) == [["not shown", "theirs are of 3,300 test molecules, ours of 1,965"]]
    shown = dict(of(table("Generation", "pcdes", MADE, predictions=samples(5, "C" * 29)), THREE_M))
    assert shown["ours: Mine"] == "Similarity 0.500, Novelty 0.400, Diversity 0.300, Validity 0.900"
    larger = table("Generation", "pcdes", MADE, predictions=samples(5, "C" * 30))
    assert of(larger, THREE_M) == [
        ["not shown", "theirs are of molecules of at most 29 heavy atoms, ours of up to 30 (data.max_heavy_atoms)"]
    ]
    unknown = table("Generation", "pcdes", MADE, predictions={"sample": np.arange(5)})
    assert of(unknown, THREE_M)[0][1].endswith("ours of sizes that are not known")


def test_a_row_that_does_not_compare_says_why_beside_those_that_do():
    made = table("Generation", "chebi20", MADE, test=3300, predictions=samples(1))
    made.rows.append(row("(random-train)", MADE, "chebi20", test=3300, predictions=samples(5)))
    shown = dict(of(made, MOLT5))
    assert shown["ours: (random-train)"] == "n/a: theirs make one a text, ours 5 (model.samples)"
    assert "ours: Mine" in shown


def test_the_note_warns_of_what_a_table_hides():
    note = beside(table("Captioning", "demo", {})).note
    for warning in ("IUPAC name", "±0.97", "57 by characters", "most similar", "without error", "baselines"):
        assert warning in note
    shown = beside(table("Generation", "chebi20", MADE, test=3300, predictions=samples(1))).note
    assert "MACCS: theirs is over valid molecules alone" in shown
    assert "FCD, Text2Mol: ours has none" in shown

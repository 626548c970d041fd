"""Intervals of metrics that are no means, beside a bootstrap that draws rows one by one and computes the metric anew."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from nltk.translate.bleu_score import corpus_bleu

from molfusion.batch import Target
from molfusion.encoders import UniMol, UniMolPretraining
from molfusion.metrics import facts, generation, text
from molfusion.metrics import property as property_metrics
from molfusion.report.by_corpus import by_corpus
from molfusion.report.corpus import Corpus
from molfusion.report.difference import ByCorpus, difference, paired
from molfusion.report.paired import comparisons, sign_flip
from molfusion.report.results import Result, Row, Table
from molfusion.report.statistics import interval
from molfusion.tasks import Pretraining
from molfusion.tasks.answers import Answer, Answers

CLASS = {"name": "c", "unit": "", "kind": "classification", "spread": None}
NUMBER = {"name": "y", "unit": "eV", "kind": "regression", "spread": 2.0}
OTHER = {"name": "z", "unit": "", "kind": "regression", "spread": 0.5}


def given(rows, seed=0, metrics=None):
    """A result with these rows of predictions."""
    found = Result(Path(), seed, metrics or {}, {})
    table = pa.Table.from_pylist(rows)
    found.predictions = {name: table[name].to_numpy() for name in table.column_names}
    return found


def predicted(rng, targets, count=14, missing=0.0, seed=0):
    """Molecules in groups of one and of two; coarse numbers, so that there are ties."""
    rows = []
    for i in range(count):
        for t in targets:
            measured = float(rng.integers(2)) if t["kind"] == "classification" else rng.normal()
            measured = np.nan if rng.random() < missing else measured
            guess = round(0.5 * (0.0 if np.isnan(measured) else measured) + rng.normal(scale=0.4), 1)
            rows.append({"id": f"m{i:02}", "group": f"g{i // 2 if i < 6 else i:02}", "target": t["name"], "predicted": guess,
                         "measured": measured})  # fmt: skip
    return given(rows, seed)


def of_targets(result, targets, metric, chosen):
    """The metric of molecules that stand in `chosen` as often as they were drawn, by the function that runs are scored with."""
    p = result.predictions
    ids = np.unique(p["id"].astype(str))
    wide = {name: np.array([[p[name][(p["id"] == i) & (p["target"] == t["name"])][0] for t in targets] for i in ids]) for name in
            ("predicted", "measured")}  # fmt: skip
    asked = [Target(t["name"], t["unit"], t["kind"]) for t in targets]
    rows = [np.flatnonzero(ids == i)[0] for i in chosen]
    guess, right = wide["predicted"][rows], wide["measured"][rows]
    known = property_metrics.scores(guess, right, asked)
    if metric == "score" and known:
        return property_metrics.selection_score(guess, right, asked, np.array([t["spread"] or 1.0 for t in targets]))
    return known.get(metric, np.nan)


def brute(results, metric):
    """Percentiles over 2,000 draws of whole groups and of seeds, each draw a list of ids for `metric(result, ids)`."""
    p = results[0].predictions
    group_of = dict(zip(p["id"], p["group"], strict=True))
    names = sorted(set(group_of.values()))
    members = {name: sorted(i for i, group in group_of.items() if group == name) for name in names}
    rng = np.random.default_rng(0)
    drawn = rng.integers(len(names), size=(2000, len(names)))
    seeds = rng.integers(len(results), size=(2000, len(results)))
    values = [
        np.mean([metric(results[s], [i for g in groups for i in members[names[g]]]) for s in chosen])
        for groups, chosen in zip(drawn, seeds, strict=True)
    ]
    return np.nanquantile(values, [0.025, 0.975])


@pytest.mark.parametrize(
    ("targets", "metric", "missing"),
    [
        ([NUMBER], "y/RMSE", 0.0), ([NUMBER], "y/R2", 0.0), ([CLASS], "c/ROC-AUC", 0.0), ([NUMBER, OTHER], "score", 0.3),
        ([CLASS], "score", 0.0),
    ],
)  # fmt: skip
def test_predicted_numbers_and_classes(targets, metric, missing):
    rng = np.random.default_rng(5)
    results = [predicted(rng, targets, missing=missing, seed=s) for s in range(2)]
    if missing:  # the same molecules are measured whatever the seed
        results[1].predictions["measured"] = results[0].predictions["measured"]
    found = interval(Row("r", results), metric, targets)
    whole = sorted(set(results[0].predictions["id"]))
    assert found.mean == pytest.approx(np.mean([of_targets(r, targets, metric, whole) for r in results]))

    def drawn(result, ids):
        return of_targets(result, targets, metric, ids)

    low, high = brute(results, drawn)
    # Where a draw holds the same molecule several times only, a single one is measured, and has no MAE by itself.
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-9 if not missing else 2e-2)
    assert found.low < found.mean < found.high


def test_rmse_by_hand():
    """Errors 0, 3 and 4 of three molecules; the third shares its group with nobody, the first two are one group."""
    rows = [{"id": i, "group": g, "target": "y", "predicted": e, "measured": 0.0} for i, g, e in
            (("a", "u", 0.0), ("b", "u", 3.0), ("c", "v", 4.0))]  # fmt: skip
    corpus = by_corpus(given(rows), "y/RMSE", [NUMBER])
    assert corpus.value == pytest.approx((25 / 3) ** 0.5)
    assert sorted({round(x, 9) for x in corpus.drawn}) == pytest.approx([4.5**0.5, (25 / 3) ** 0.5, 4.0])
    # Without u: 4. Without v: sqrt(9 / 2). Two groups: pseudo-values 2 v - left out.
    assert corpus.added == pytest.approx([2 * (25 / 3) ** 0.5 - 4.0, 2 * (25 / 3) ** 0.5 - 4.5**0.5])


def test_roc_auc_by_hand():
    """Positives at .9 and .4, negatives at .4 and .1: of four pairs three are won and one is a tie."""
    rows = [{"id": str(i), "group": str(i), "target": "c", "predicted": p, "measured": y} for i, (p, y) in
            enumerate([(0.9, 1.0), (0.4, 1.0), (0.4, 0.0), (0.1, 0.0)])]  # fmt: skip
    corpus = by_corpus(given(rows), "c/ROC-AUC", [CLASS])
    assert corpus.value == pytest.approx(3.5 / 4)
    assert corpus.added == pytest.approx([4 * 0.875 - 3 * x for x in (0.75, 1.0, 1.0, 0.75)])
    assert np.isnan(corpus.drawn).any()  # some draws hold one class alone


def test_of_a_mean_each_adds_itself():
    """What the jackknife gives for a mean is the values: the test over molecules is the one of means."""
    values = np.array([[1.0], [4.0], [-2.0]])
    mean = Corpus(np.array(list("abc")), np.array(list("abc")), values, lambda w, x: w @ x[:, 0] / w.sum(1))
    assert mean.added == pytest.approx([1.0, 4.0, -2.0])


# -- texts -------------------------------------------------------------------------------------------

WANTED = [
    "Its molecular formula is C2H6O. It has no rings. The heavy atoms are planar.",
    "Its molecular formula is C6H6. It has one ring, one of them aromatic, including benzene.",
    "Its molecular formula is C3H8. It has no rings.",
    "Its molecular formula is CH4. It has no rings.",
    "The LogP of the molecule is 2.50.",
    "The LogP of the molecule is -1.00.",
]
SAID = [
    "Its molecular formula is C2H6O. It has one ring, one of them aromatic, including benzene.",
    "Its molecular formula is C6H6. It has no rings.",
    "Its molecular formula is C3H6. It has no rings, or so.",
    "It has no rings. Its molecular formula is CH4.",
    "The LogP of the molecule is 1.00.",
    "I do not know.",
]
SMILES = ["CCO", "c1ccccc1", "CCC", "C", "CC", "CO"]
BLEU = ["BLEU-2@molfusion:512", "BLEU-4@molfusion:512"]


@pytest.fixture(scope="module")
def told():
    """One caption was not generated."""
    answers = [Answer(f"m{i}", f"m{i}", s, "?", w, t, 2.0 + i, 4 + i) for i, (s, w, t) in
               enumerate(zip(SMILES, WANTED, SAID, strict=True))]  # fmt: skip
    answers.append(Answer("m9", "m9", "CC", "?", WANTED[0], None, 1.0, 9))
    judge = Answers("molfusion", 512)
    judge.learn(["The LogP of the molecule is 0.50.", "The LogP of the molecule is 1.50."])
    metrics, rows = judge.scored(answers)
    chosen = {"test/score": metrics["facts/recall"], "val/score": 0.5, "val/facts/recall": 0.5}
    return given(rows, metrics={f"test/{k}": v for k, v in metrics.items()} | chosen), metrics


def test_every_metric_of_texts_is_what_the_run_said(told):
    result, metrics = told
    numbers = {"LogP/valid", "LogP/penalised_MAE"}
    assert {"facts/hallucination", "facts/unread", "METEOR@molfusion:512", "ROUGE-L", *BLEU} | numbers <= metrics.keys()
    for name, value in metrics.items():
        if name != "generated":  # how many there are says nothing of the model
            assert by_corpus(result, name, []).value == pytest.approx(value), name
    assert by_corpus(result, "score", []).value == pytest.approx(metrics["facts/recall"])  # the one that was selected
    assert by_corpus(result, "BLEU-2@somewhere:512", []) is None
    assert metrics["LogP/penalised_MAE"] == 1.75  # |1 - 2.5| and, without an answer, |1 - -1|


@pytest.mark.parametrize("metric", BLEU)
def test_bleu_of_resamples(told, metric):
    result, _ = told
    pieces = [text.pieces(t, "molfusion", 512) for t in (SAID[:4], WANTED[:4])]
    shares = [1 / int(metric[5])] * int(metric[5])

    def drawn(_, ids):
        rows = [int(i[1:]) for i in ids]
        return 100 * corpus_bleu([[pieces[1][r]] for r in rows], [pieces[0][r] for r in rows], shares)

    worded = given([{"id": f"m{i}", "group": f"m{i}"} for i in range(4)])
    found = interval(Row("r", [result]), metric, [])
    assert (found.low, found.high) == pytest.approx(tuple(brute([worded], drawn)))
    assert found.low < found.high


@pytest.mark.parametrize("name", ["recall", "precision", "hallucination", "unread", "claims"])
def test_facts_of_resamples(told, name):
    result, _ = told

    def drawn(_, ids):
        rows = [int(i[1:]) for i in ids]
        columns = ([texts[r] for r in rows] for texts in (SAID, SMILES, WANTED))
        return facts.scores(*columns)[f"facts/{name}"]

    worded = given([{"id": f"m{i}", "group": f"m{i}"} for i in range(4)])
    found = interval(Row("r", [result]), f"facts/{name}", [])
    assert (found.low, found.high) == pytest.approx(tuple(brute([worded], drawn)))


# -- losses of batches -------------------------------------------------------------------------------

LOSSES = [{"denoise": 1.0, "spd": 3.0}, {"denoise": 2.0, "spd": 0.0}, {"denoise": 6.0, "spd": 1.0}]


def pretrained(*batches):
    """Metrics and rows of a pretraining that was shown these batches of molecules."""
    task = Pretraining(UniMolPretraining(UniMol(dim=8, layers=1, heads=2, kernels=4)), weights={"denoise": 2.0})
    told = zip(batches, LOSSES[: len(batches)], strict=True)
    seen = [{"ids": list(ids), "groups": list(ids), "losses": loss} for ids, loss in told]
    metrics, rows = task.evaluate(seen, "test")
    return given(rows), metrics


def test_losses_of_a_pretraining_are_drawn_by_whole_batches():
    result, metrics = pretrained("ab", "cd", "e")
    assert metrics == pytest.approx({"denoise": 2.4, "spd": 1.4, "loss": 6.2, "score": -6.2})
    for name, value in metrics.items():
        assert by_corpus(result, name, []).value == pytest.approx(value), name

    def drawn(_, ids):
        chosen = [int(i) for i in ids]
        return np.average([LOSSES[i]["denoise"] for i in chosen], weights=[(2, 2, 1)[i] for i in chosen])

    batches = given([{"id": i, "group": i} for i in "012"])
    found = interval(Row("r", [result]), "denoise", [])
    assert (found.low, found.high) == pytest.approx(tuple(brute([batches], drawn)))


def test_losses_of_other_batches_are_no_pairs():
    result, same, other = pretrained("ab", "cd", "e")[0], pretrained("ab", "cd", "e")[0], pretrained("abc", "de")[0]
    assert difference([(result, same)], "loss", []).interval.mean == 0
    assert difference([(result, other)], "loss", []) is None


# -- molecules and ranks -----------------------------------------------------------------------------


def test_every_metric_of_molecules_is_what_the_run_said():
    asked = [
        generation.Asked("a", "a", "CCO", ["CCO", "CCN", "nothing", "OCC"]),
        generation.Asked("b", "b", "c1ccccc1O", ["c1ccccc1N", "Cc1ccccc1O", "CCO", None]),
        generation.Asked("c", "c", "CCCC", ["", "CCCCC", "CCCO", "CCCC"]),
    ]
    metrics, rows = generation.scores(asked, generation.inchikeys(["CCO", "CCCC"]))
    result = given(rows)
    for name in ("Validity", "Similarity", "Novelty", "Diversity", "Diversity/samples", "uniqueness", "novelty"):
        corpus = by_corpus(result, name, [])
        assert corpus.value == pytest.approx(metrics[name]), name
        found = interval(Row("r", [result]), name, [])
        assert found.low <= found.mean <= found.high, name
    without = given([{k: v for k, v in row.items() if k != "unseen"} for row in rows])
    assert by_corpus(without, "novelty", []) is None  # older rows do not say what was in training


def test_what_is_drawn_twice_is_no_copy_of_itself():
    """All molecules differ, in every resample too: counted anew, a draw would look as if the model repeated itself."""
    rows = [{"id": s, "group": s, "smiles": "C", "generated": s} for s in ("CC", "CCC", "CCCC")]
    assert set(by_corpus(given(rows), "uniqueness", []).drawn) == {1.0}


def test_the_median_rank_of_resamples():
    better = [0, 3, 1, 9, 4, 0]
    rows = [{"id": str(i), "group": str(i), "direction": "m2t", "scope": "all", "pool": "all", "better": b, "tied": i % 2,
             "candidates": 20} for i, b in enumerate(better)]  # fmt: skip
    result = given(rows)
    middle = [1 + b + (i % 2) / 2 for i, b in enumerate(better)]
    low, high = brute([result], lambda _, ids: np.median([middle[int(i)] for i in ids]))
    found = interval(Row("r", [result]), "m2t/median_rank", [])
    assert (found.mean, found.low, found.high) == pytest.approx((np.median(middle), low, high))


# -- two of them -------------------------------------------------------------------------------------


def classed(rng, noise, seed, right):
    rows = [{"id": f"m{i:02}", "group": f"m{i:02}", "target": "c", "predicted": y + rng.normal(scale=noise), "measured": y}
            for i, y in enumerate(right)]  # fmt: skip
    return given(rows, seed)


def classes(rng, noises, count=60):
    right = [float(i % 2) for i in range(count)]
    rows = [Row(name, [classed(rng, noise, s, right) for s in range(2)]) for name, noise in noises.items()]
    for row in rows:
        for r in row.results:
            r.record["data"] = {"targets": [CLASS]}
    return Table("t", "", [], rows)


def test_where_score_is_a_roc_auc_rows_are_compared():
    found = comparisons(classes(np.random.default_rng(0), {"good": 0.3, "poor": 3.0, "as poor": 3.0}))
    assert [(c.row, c.other, c.verdict) for c in found] == [
        ("good", "poor", "better"), ("good", "as poor", "better"), ("poor", "as poor", "not distinguishable"),
    ]  # fmt: skip


def test_a_difference_of_rmse_is_drawn_together():
    """Both are asked of the same molecules in every draw, and a smaller error is better."""
    rng = np.random.default_rng(2)
    a = predicted(rng, [NUMBER])
    b = given([dict(zip(a.predictions, row, strict=True)) for row in zip(*a.predictions.values(), strict=True)])
    b.predictions["predicted"] = b.predictions["predicted"] + 0.5 * rng.normal(size=14)
    found = difference(paired(Row("a", [a]), Row("b", [b])), "y/RMSE", [NUMBER])
    assert isinstance(found, ByCorpus)

    def drawn(_, ids):
        return of_targets(b, [NUMBER], "y/RMSE", ids) - of_targets(a, [NUMBER], "y/RMSE", ids)

    assert (found.interval.low, found.interval.high) == pytest.approx(tuple(brute([a], drawn)))


def test_only_molecules_that_both_have():
    rng = np.random.default_rng(3)
    a = predicted(rng, [NUMBER])
    b = given([{"id": "m01", "group": "g00", "target": "y", "predicted": 0.0, "measured": 0.0}])
    found = difference([(a, b)], "y/RMSE", [NUMBER])
    assert [c.ids.tolist() for pair in found.pairs for c in pair] == [["m01"], ["m01"]]
    other = given([{"id": "x", "group": "x", "target": "y", "predicted": 0.0, "measured": 0.0}])
    assert difference([(a, other)], "y/RMSE", [NUMBER]) is None


def test_false_alarms_of_a_roc_auc_are_as_rare_as_promised():
    rng = np.random.default_rng(1)
    alarms = []
    for _ in range(150):
        a, b = classes(rng, {"a": 1.0, "b": 1.0}, 40).rows
        alarms.append(sign_flip(*difference(paired(a, b), "score", [CLASS]).added) < 0.05)
    assert 0.01 < np.mean(alarms) < 0.11


def test_the_only_positive_cannot_be_left_out():
    rng = np.random.default_rng(0)
    a, b = (classed(rng, 1.0, 0, [1.0, *[0.0] * 20]) for _ in range(2))
    assert sign_flip(*difference([(a, b)], "c/ROC-AUC", [CLASS]).added) == 1.0

import numpy as np
import pytest

from molfusion import baselines
from molfusion.baselines import baseline, chance, mean, nearest, nearest_tfidf, ridge_counts, ridge_tfidf
from molfusion.config import ConfigError
from molfusion.data.datamodule import MoleculeData

# Chains of carbon that end in one of six groups, each told by its own words.
ENDS = {"O": "alcohol", "N": "amine", "S": "thiol", "Cl": "chloride", "Br": "bromide", "F": "fluoride"}


def opened(path):
    data = MoleculeData(str(path))
    data.prepare_data()
    data.setup()
    return data


@pytest.fixture(scope="module")
def easy(tmp_path_factory):
    """48 molecules whose text, number (length of chain, with a jump for each end) and class follow from structure."""
    return write(tmp_path_factory.mktemp("easy"))


def write(folder, changed=(), unmeasured=()):
    """The card; `changed`: splits whose labels and texts are replaced by others; `unmeasured`: without a number."""
    lines = ["cid,smiles,caption,number,class,split"]
    for length in range(3, 11):
        for i, (end, name) in enumerate(ENDS.items()):
            split = "val" if length == 5 else "test" if length == 8 else "train"
            text, number, kind = f"{name} chain of {length} carbons", length + 10 * i, int(i < 3)
            if split in changed:
                text, number, kind = "nothing of the kind", 31.5, 1 - kind  # 31.5: the training mean
            if f"{end}{length}" in unmeasured:
                number = ""
            lines.append(f"{end}{length},{'C' * length}{end},{text},{number},{kind},{split}")
    (folder / "data.csv").write_text("\n".join(lines) + "\n")
    path = folder / "easy.yaml"
    path.write_text(
        "name: easy\nlicence: CC0-1.0\nfiles: {all: {path: data.csv, rows: 48}}\n"
        "columns: {id: cid, smiles: smiles, text: caption}\n"
        "targets: [{column: number, unit: eV}, {column: class, kind: classification}]\n"
        "split: {by: column, column: split}\n"
    )
    return path


def predictions(rows, split):
    return {(r["id"], r["target"]): r["predicted"] for r in rows if r["split"] == split}


def test_chance_is_one_over_the_pool(easy):
    metrics, rows = chance(opened(easy))
    for split in ("val", "test"):
        for direction in ("m2t", "t2m"):
            name = f"{split}/{direction}"
            assert metrics[f"{name}/pool"] == 6
            assert metrics[f"{name}/R@1"] == pytest.approx(1 / 6, abs=1e-15)
            assert metrics[f"{name}/R@5"] == pytest.approx(5 / 6, abs=1e-15)
            assert metrics[f"{name}/R@10"] == 1
            assert metrics[f"{name}/median_rank"] == 3.5
            assert metrics[f"{name}/MRR"] == pytest.approx(np.mean([1 / r for r in range(1, 7)]), abs=1e-15)
    assert len(rows) == 2 * 2 * 6
    assert all((r["better"], r["tied"], r["candidates"]) == (0, 5, 6) for r in rows)


def test_mean_by_hand(card):
    # Training numbers are 0.1 … 1.6 without 0.4 (not measured); test: 2.1 … 2.4. Classes alternate 0, 1.
    metrics, rows = mean(opened(card))
    guess = (sum(range(1, 17)) - 4) / 10 / 15
    assert metrics["test/number/MAE"] == pytest.approx((2.1 + 2.2 + 2.3 + 2.4) / 4 - guess)
    assert metrics["val/number/MAE"] == pytest.approx((1.7 + 1.8 + 1.9 + 2.0) / 4 - guess)
    assert metrics["test/class/ROC-AUC"] == 0.5
    found = predictions(rows, "test")
    assert set(found) == {(f"c{i}", target) for i in range(20, 24) for target in ("number", "class")}
    for (_, target), value in found.items():
        assert value == pytest.approx(guess if target == "number" else 0.5)
    measured = {r["id"]: r["measured"] for r in rows if r["split"] == "test" and r["target"] == "number"}
    assert measured == {"c20": 2.1, "c21": 2.2, "c22": 2.3, "c23": 2.4}


def test_score_is_the_error_in_training_spreads(card, tmp_path):
    data = MoleculeData(str(card), targets=["number"])
    data.prepare_data()
    data.setup()
    metrics, _ = mean(data)
    train = np.array([i / 10 for i in range(1, 17) if i != 4])
    assert metrics["test/score"] == pytest.approx(-(2.25 - train.mean()) / train.std())


def test_ridge_beats_chance_on_texts_that_follow_from_structure(easy):
    data = opened(easy)
    by_ridge, rows = ridge_tfidf(data)
    by_chance, _ = chance(data)
    for name in ("m2t/R@1", "t2m/R@1", "score"):
        assert by_ridge[f"test/{name}"] > 2 * by_chance[f"test/{name}"]
    assert by_ridge["test/m2t/R@1"] == 1
    assert {(r["split"], r["direction"], r["scope"], r["pool"]) for r in rows} == {
        (split, direction, "all", "all") for split in ("val", "test") for direction in ("m2t", "t2m")
    }


def test_ridge_beats_the_mean_on_numbers_and_classes(easy):
    data = opened(easy)
    by_ridge, rows = ridge_counts(data)
    by_mean, _ = mean(data)
    assert by_ridge["test/number/MAE"] < 0.2 * by_mean["test/number/MAE"]
    assert by_mean["test/class/ROC-AUC"] == 0.5
    assert by_ridge["test/class/ROC-AUC"] == 1
    classes = [v for (_, target), v in predictions(rows, "test").items() if target == "class"]
    assert all(0 < p < 1 for p in classes)
    assert [p > 0.5 for p in classes] == [True, True, True, False, False, False]


def test_an_unmeasured_target_is_left_out_and_not_taken_for_a_number(card):
    """c3 of the training split has no number; the ridge is fitted on the other fifteen."""
    metrics, rows = ridge_counts(opened(card))
    assert all(np.isfinite(value) for value in metrics.values())
    assert all(np.isfinite(r["predicted"]) for r in rows)


@pytest.mark.parametrize("name", ["mean", "ridge", "nearest"])
def test_test_labels_change_no_prediction(name, easy, tmp_path):
    _, rows = baseline("Property", name)(opened(easy))
    _, others = baseline("Property", name)(opened(write(tmp_path, changed=("test",))))
    for split in ("val", "test"):
        assert predictions(rows, split) == predictions(others, split)


def test_test_texts_change_no_choice(easy, tmp_path):
    metrics, _ = ridge_tfidf(opened(easy))
    others, _ = ridge_tfidf(opened(write(tmp_path, changed=("test",))))
    assert {k: v for k, v in metrics.items() if k.startswith("val/")} == {k: v for k, v in others.items() if k.startswith("val/")}
    assert others["test/m2t/R@1"] < metrics["test/m2t/R@1"]


def test_the_strength_of_the_text_ridge_is_chosen_on_validation(easy, monkeypatch):
    """The choice looks at one matrix of scores for each strength, of validation's size and of its molecules."""
    data = opened(easy)
    data.records["test"] = data.records["test"][:4]
    looked = []
    mrr = baselines._mrr
    monkeypatch.setattr(baselines, "_mrr", lambda scores: looked.append(scores.shape) or mrr(scores))
    ridge_tfidf(data)
    assert looked == [(6, 6)] * 4


def test_the_strength_is_chosen_on_validation(tmp_path):
    """With every validation label at the training mean, the strongest wins: test predictions come nearer to it."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    _, rows = ridge_counts(opened(write(tmp_path / "a")))
    _, others = ridge_counts(opened(write(tmp_path / "b", changed=("val",))))
    usual, shrunk = (
        [abs(v - 31.5) for (_, target), v in predictions(found, "test").items() if target == "number"] for found in (rows, others)
    )
    assert max(shrunk) < 0.7 * max(usual)


def test_the_nearest_has_the_same_end_and_is_longer_by_one(easy):
    """n substructures of n + k are more than n - k of n: the chain of eight is most like that of nine, five like six."""
    metrics, rows = nearest(opened(easy))
    assert metrics["test/number/MAE"] == metrics["val/number/MAE"] == pytest.approx(1)
    assert metrics["test/class/ROC-AUC"] == 1
    found = predictions(rows, "test")
    assert {end: (found[f"{end}8", "number"], found[f"{end}8", "class"]) for end in ENDS} == {
        end: (9 + 10 * i, int(i < 3)) for i, end in enumerate(ENDS)
    }


def test_of_a_target_that_the_nearest_lacks_the_next_that_has_it(tmp_path):
    _, rows = nearest(opened(write(tmp_path, unmeasured=["O9", "N9", "N7"])))
    found = predictions(rows, "test")
    assert found["O8", "number"] == 7  # 7/8 is more than 8/10
    assert found["N8", "number"] == 10 + 10
    assert found["S8", "number"] == 9 + 20
    assert found["O8", "class"] == found["N8", "class"] == 1  # the other target is still the nearest's


def test_texts_are_ranked_by_their_likeness_to_the_nearest_text(easy, tmp_path):
    """The neighbour's text names the same end, so the right one comes first, either way; a changed one ties with all."""
    metrics, rows = nearest_tfidf(opened(easy))
    assert metrics["test/m2t/R@1"] == metrics["test/t2m/R@1"] == metrics["val/m2t/R@1"] == 1
    assert {(r["split"], r["direction"], r["scope"], r["pool"]) for r in rows} == {
        (split, direction, "all", "all") for split in ("val", "test") for direction in ("m2t", "t2m")
    }
    changed, _ = nearest_tfidf(opened(write(tmp_path, changed=("test",))))
    assert changed["test/m2t/R@1"] == pytest.approx(1 / 6)  # "nothing of the kind" says the same to each molecule
    assert changed["val/m2t/R@1"] == 1


def test_the_nearest_text_under_scopes(tmp_path):
    """A record for each scope and split as the other retrieval baselines have, pools and their sizes included."""
    data = MoleculeData("demo", train_fraction=0.1, near=["isomers"])
    data.prepare_data()
    data.setup()
    (by_text, rows), (by_chance, others) = nearest_tfidf(data), chance(data)
    place = ("split", "id", "scope", "direction", "pool", "candidates")
    assert [[r[k] for k in place] for r in rows] == [[r[k] for k in place] for r in others]
    assert by_text.keys() == by_chance.keys()
    assert by_text["test/score"] > 2 * by_chance["test/score"]
    found = {name: by_text[f"test/chi/m2t/pool_{name}"] for name in ("accuracy", "chance")}
    assert found["accuracy"] == pytest.approx(found["chance"])  # the print is blind to mirror images


KNOWN = {
    "Retrieval": "chance, ridge, nearest",
    "Property": "mean, ridge, nearest",
    "Pretraining": "random-train, nearest-molecule",
}


@pytest.mark.parametrize("task", KNOWN)
def test_unknown_names(task):
    with pytest.raises(ConfigError, match=f"no baseline 'rigde' for {task}; known: {KNOWN[task]}"):
        baseline(task, "rigde")

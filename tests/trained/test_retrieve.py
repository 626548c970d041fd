"""Molecules for a text and texts for a molecule."""

import csv
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

import molfusion
from molfusion.cli import main
from molfusion.config import ConfigError
from molfusion.encoders.base import NotApplicable
from molfusion.trained.finding import told_apart
from molfusion.views.batches import batch_of
from tests.conftest import MOLECULES

SMILES = [s for s, _, _ in MOLECULES]
TEXTS = [t for _, t, _ in MOLECULES]
ACID = "It is an acid. It has two carbons."


@pytest.mark.parametrize(
    ("query", "read_as", "expected"),
    [
        ("It is an acid.", "auto", "text"),
        ("CC(=O)O", "auto", "smiles"),
        ("C", "auto", "smiles"),
        ("C", "text", "text"),
        ("alcohol", "auto", "text"),
        ("well-known.", "auto", "text"),
        ("分子", "auto", "text"),
        ("c1ccc", "auto", ""),
        ("c1ccc", "text", "text"),
        ("alcohol", "smiles", ""),
        ("  ", "auto", ""),
    ],
)
def test_told_apart(query, read_as, expected):
    found = told_apart(1, query, read_as)
    assert found.read_as == expected
    assert bool(found.problem) == (expected == "")


def test_a_broken_smiles_is_not_searched_as_a_text():
    assert "c1ccc" in (problem := told_apart(1, "c1ccc").problem)
    assert "--as text" in problem
    assert "--as" not in told_apart(1, "c1ccc", "smiles").problem


def test_the_nearest_by_hand(runs):
    run = molfusion.load(runs / "towers")
    molecules = np.array([row["vector"] for row in run.embed(SMILES)])
    texts = np.array([row["vector"] for row in run.embed_texts(TEXTS)])
    rows = run.retrieve([ACID, "Oc1ccccc1"], k=3)
    assert [(r["query_number"], r["rank"]) for r in rows] == [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (2, 3)]
    asked = molecules @ texts[TEXTS.index(ACID)]
    best = np.argsort(-asked)[:3]
    assert [r["smiles"] for r in rows[:3]] == [SMILES[i] for i in best]
    assert [r["similarity"] for r in rows[:3]] == pytest.approx(asked[best].tolist(), abs=1e-5)
    asked = texts @ molecules[SMILES.index("Oc1ccccc1")]
    best = np.argsort(-asked)[:3]
    assert [r["text"] for r in rows[3:]] == [TEXTS[i] for i in best]
    assert [r["id"] for r in rows[3:]] == [f"c{i}" for i in best]
    assert [r["read_as"] for r in rows] == ["text"] * 3 + ["smiles"] * 3
    assert all(r["problem"] == "" for r in rows)


def test_trained_it_finds_what_it_was_shown(runs):
    rows = molfusion.load(runs / "towers", "last").retrieve([ACID, "CC(=O)O"], k=2)
    assert "CC(=O)O" in {r["smiles"] for r in rows[:2]}
    assert ACID in {r["text"] for r in rows[2:]}


def test_the_best_of_several_vectors_counts(runs):
    run = molfusion.load(runs / "queries")
    records = run.asked(None, run.model.views).load().records
    batch = batch_of(records, run.model.views)
    molecules = run.model.towers.embed_molecules(batch).detach().numpy()  # [24, 2, P]
    texts = run.model.towers.embed_texts(batch).detach().numpy()
    of_text = (molecules @ texts[8]).max(1)
    of_molecule = (texts @ molecules[8].T).max(1)
    rows = run.retrieve([TEXTS[8], SMILES[8]], k=30)
    for number, scores, held in ((1, of_text, "smiles"), (2, of_molecule, "text")):
        found = {r[held]: r["similarity"] for r in rows if r["query_number"] == number}
        expected = {getattr(record, held): score for record, score in zip(records, scores.tolist(), strict=True)}
        assert found == pytest.approx(expected, abs=1e-5)
        assert list(found.values()) == sorted(found.values(), reverse=True)


def test_one_row_a_molecule_by_its_best_conformer_and_one_a_text(runs, tmp_path):
    (tmp_path / "pool.csv").write_text("id,smiles,text\na,CCO,An alcohol.\nb,OCC,An alcohol.\nc,CCN,An amine.\n")
    run = molfusion.load(runs / "towers")
    rows = run.retrieve(["An alcohol of two carbons", "CCO"], among=tmp_path / "pool.csv")
    assert sorted(r["id"] for r in rows if r["query_number"] == 1) == ["a", "c"]
    assert sorted(r["text"] for r in rows if r["query_number"] == 2) == ["An alcohol.", "An amine."]


def test_queries_fail_one_by_one(runs):
    rows = molfusion.load(runs / "towers").retrieve([ACID, "c1ccc", "", "CCO"], k=2)
    assert [r["query_number"] for r in rows] == [1, 1, 2, 3, 4, 4]
    assert [bool(r["problem"]) for r in rows] == [False, False, True, True, False, False]
    assert rows[2]["smiles"] is None


def test_a_pool_without_texts(runs, tmp_path, caplog):
    (tmp_path / "pool.smi").write_text("CCO a\nC1CC b\nCCN c\n")
    rows = molfusion.load(runs / "towers").retrieve(["CCO", ACID], among=tmp_path / "pool.smi")
    assert rows[0]["problem"] == "card pool has no texts to find"
    assert [r["id"] for r in rows[1:] if not r["problem"]] == [r["id"] for r in rows[1:]]
    assert "1 of 3 in card pool cannot be found; the first: not a SMILES" in caplog.text


def test_among_smiles(runs):
    rows = molfusion.load(runs / "towers", "last").retrieve([ACID], among=["CCO", "CC(=O)O"])
    assert [r["smiles"] for r in rows] == ["CC(=O)O", "CCO"]
    with pytest.raises(ConfigError, match="no molecule to find in the molecules given: not a SMILES"):
        molfusion.load(runs / "towers").retrieve([ACID], among=["C1CC"])


def test_reranking_adds_the_matching_heads_logit(runs):
    run = molfusion.load(runs / "queries")
    records = {r.smiles: r for r in run.asked(None, run.model.views).load().records}
    rows = run.retrieve([ACID, "CC(=O)O"], k=3, rerank=6)
    plain = run.retrieve([ACID, "CC(=O)O"], k=6)
    towers = run.model.towers
    for number in (1, 2):
        mine = [r for r in rows if r["query_number"] == number]
        candidates = [r for r in plain if r["query_number"] == number]
        assert {r["id"] for r in mine} <= {r["id"] for r in candidates}
        totals = []
        for row in candidates:  # each pair alone
            smiles, text = (row["smiles"], ACID) if number == 1 else ("CC(=O)O", row["text"])
            changed = batch_of([replace(records[smiles], text=text)], run.model.views)
            (logit,) = towers.match_scores(towers.match_items(changed), np.zeros((1, 2), dtype=np.int64))
            totals.append((row["similarity"] + logit, row["id"]))
        best = sorted(totals, reverse=True)[:3]
        assert [r["id"] for r in mine] == [key for _, key in best]
        assert [r["similarity"] + r["match"] for r in mine] == pytest.approx([total for total, _ in best], abs=1e-4)
        assert [r["rank"] for r in mine] == [1, 2, 3]


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("numbers", {}, "is a run of Property; retrieve needs one of Retrieval"),
        ("towers", {"rerank": 5}, "DualTower has no matching head"),
        ("towers", {"k": 0}, "k is 0"),
    ],
)
def test_refusals(runs, name, settings, message):
    with pytest.raises((NotApplicable, ConfigError), match=message):
        molfusion.load(runs / name).retrieve(["CCO"], **settings)


def retrieve(runs, *words):
    return main(["retrieve", "--run", str(runs / "towers"), *map(str, words)])


def test_the_command(runs, tmp_path, capsys):
    (tmp_path / "queries.txt").write_text(f"{ACID}\n\n")
    out = tmp_path / "found.csv"
    words = ["--checkpoint", "last", "--queries", tmp_path / "queries.txt", "-k", "2", "--out", out, "CC(=O)O", "c1ccc"]
    assert retrieve(runs, *words) == 0
    with out.open() as file:
        rows = list(csv.DictReader(file))
    assert [r["query"] for r in rows] == ["CC(=O)O"] * 2 + ["c1ccc"] + [ACID] * 2
    assert "CC(=O)O" in {r["smiles"] for r in rows[3:]}
    assert (tmp_path / "found-3.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (tmp_path / "found-3.svg").read_text()
    assert not (tmp_path / "found-1.png").exists()  # texts were found
    told = capsys.readouterr()
    assert "CC(=O)O" in told.out
    assert ACID in told.out
    assert "(not read)" in told.out
    assert "1 without an answer" in told.err


def test_markup_in_a_query_is_shown_as_it_is(runs, tmp_path, capsys):
    assert retrieve(runs, "[bold]an acid[/] [/x]", "-k", "1", "--out", tmp_path / "found.parquet") == 0
    assert "[bold]an acid[/] [/x]" in capsys.readouterr().out
    assert pq.read_table(tmp_path / "found.parquet").num_rows == 1


def test_nothing_to_look_for(runs, capsys):
    assert retrieve(runs) == 2
    assert "nothing to look for" in capsys.readouterr().err

"""The rows that generated molecules must beat."""

import pytest

from molfusion.baselines import baseline
from molfusion.chem.parse import canonical, parse
from molfusion.data.datamodule import MoleculeData

ALL = [("Generation", "random-train"), ("Generation", "random-test"), ("Generation", "nearest-text"),
       ("Pretraining", "random-train"), ("Pretraining", "nearest-molecule")]  # fmt: skip


@pytest.fixture
def data(card):
    made = MoleculeData(str(card))
    made.prepare_data()
    made.setup()
    return made


@pytest.mark.parametrize(("task", "name"), ALL)
def test_they_leave_what_a_run_leaves(data, task, name):
    metrics, rows = baseline(task, name)(data)
    for split in ("val", "test"):
        mine = [r for r in rows if r["split"] == split]
        assert {r["id"] for r in mine} == {r.id for r in data.records[split]}
        assert metrics[f"{split}/score"] == pytest.approx(sum(r["score"] for r in mine) / len(mine))
        assert metrics[f"{split}/Validity"] == 1.0
    assert baseline(task, name)(data) == (metrics, rows), "not the same twice"


def test_where_their_molecules_come_from(data):
    known = {split: {r.canonical for r in data.records[split]} for split in ("train", "test")}
    for task, name in ALL:
        rows = [r for r in baseline(task, name)(data)[1] if r["split"] == "test"]
        made = {canonical(parse(r["generated"])) for r in rows}
        assert made <= known["test" if name == "random-test" else "train"], name
        a_prompt = len(rows) / len(known["test"])
        assert a_prompt == (1 if task == "Pretraining" else 4 if name == "random-test" else 5)


def test_nearest_text_is_nearest(data):
    """Butan-2-enes of the test split are told as an alkene; so is no training molecule but the one of the same words."""
    rows = [r for r in baseline("Generation", "nearest-text")(data)[1] if r["split"] == "test" and r["sample"] == 0]
    texts = {r.canonical: r.text for r in data.records["train"]}
    for row in rows:
        wanted = next(r.text for r in data.records["test"] if r.id == row["id"])
        shared = set(wanted.split()) & set(texts[row["generated"]].split())
        assert shared >= {"It"}
        assert len(shared) == max(len(set(wanted.split()) & set(t.split())) for t in texts.values())


def test_nearest_molecule_is_the_likest(data):
    rows = [r for r in baseline("Pretraining", "nearest-molecule")(data)[1] if r["split"] == "test"]
    chance = [r for r in baseline("Pretraining", "random-train")(data)[1] if r["split"] == "test"]
    assert sum(r["morgan"] for r in rows) > sum(r["morgan"] for r in chance)

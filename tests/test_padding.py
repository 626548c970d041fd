"""The share of padding: by hand, and as a run logs it."""

import csv
import json

import numpy as np
import pytest
import torch

from molfusion.batch import MoleculeBatch
from molfusion.build import build
from molfusion.views import Conformers, ConformerView, Texts, TextView
from tests.tasks.helpers import TEXT, UNIMOL, config, fit


def conformers(*lengths):
    mask = torch.arange(max(lengths))[None] < torch.tensor(lengths)[:, None]
    return Conformers(mask.long(), torch.zeros(*mask.shape, 3), mask)


def texts(*lengths):
    found = conformers(*lengths)
    return Texts(found.numbers, found.mask)


def batch(**views):
    names = [[]] * 7
    return MoleculeBatch(*names, torch.zeros(0, 0), dict(views.values()))


def test_by_hand():
    assert texts(4, 2).padding() == pytest.approx(2 / 8)
    assert conformers(4, 2).padding() == pytest.approx(12 / 32)  # of pairs: 16 and 4 of 16 each are real
    assert conformers(3).padding() == 0


def test_two_views_of_a_class_are_averaged():
    both = {"a": (TextView(), texts(4, 2)), "b": (TextView(reads="smiles"), texts(2, 2))}
    both["c"] = (ConformerView(), conformers(4, 2))
    assert batch(**both).padding() == {"TextView": pytest.approx(0.125), "ConformerView": pytest.approx(0.375)}


@pytest.mark.slow
def test_a_run_logs_what_its_batches_hold(card, tmp_path):
    """`train/padding/VIEW` is the running mean over the steps looked at, and metrics.json has the last of it."""
    arguments = {"encoder": UNIMOL, "text": TEXT, "epochs": 2}
    fit(tmp_path / "run", card, "Retrieval", **arguments)
    with (tmp_path / "run" / "log.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["name"].startswith("train/padding/")]
    logged = {"ConformerView": [], "TextView": []}
    for row in rows:
        logged[row["name"].rpartition("/")[2]].append(float(row["value"]))
    data = build(config(card, "Retrieval", **arguments), tmp_path / "again").data
    data.prepare_data()
    data.setup()
    loader = data.train_dataloader()
    expected = {name: [] for name in logged}
    for epoch in range(2):
        loader.order.set_epoch(epoch)
        for one in loader:
            for name, share in one.padding().items():
                expected[name].append(share)
    for name, shares in expected.items():
        means = np.cumsum(shares) / np.arange(1, len(shares) + 1)
        assert logged[name] == pytest.approx(means.tolist(), abs=1e-5)
        assert 0 < means[-1] < 1
        held = json.loads((tmp_path / "run" / "metrics.json").read_text())["cost"]["padding"][name]
        assert held == pytest.approx(means[-1], abs=1e-4)

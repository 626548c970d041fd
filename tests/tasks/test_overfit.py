"""Every task can memorise sixteen molecules; what cannot is broken somewhere between bytes and metric."""

import pyarrow.parquet as pq
import pytest

from tests.tasks.helpers import FINGERPRINT, QFORMER, TEXT, UNIMOL, fit


@pytest.fixture
def same(card, tmp_path):
    """The card with its training molecules as validation and test too."""
    text = card.read_text().replace("{by: column, column: split}", "{by: file}")
    rows = [r for r in (card.parent / "data.csv").read_text().splitlines() if not r.endswith(("val", "test"))]
    header, body = rows[0], [r.rpartition(",")[0] for r in rows[1:]]
    for split in ("train", "val", "test"):
        lines = [header.rpartition(",")[0], *(f"{split}{r}" for r in body)]
        (tmp_path / f"{split}.csv").write_text("\n".join(lines) + "\n")
    files = ", ".join(f"{s}: {{path: {s}.csv}}" for s in ("train", "val", "test"))
    path = tmp_path / "same.yaml"
    path.write_text(text.replace("{all: {path: data.csv, rows: 24}}", f"{{{files}}}"))
    return path


@pytest.mark.slow
@pytest.mark.parametrize("encoder", [FINGERPRINT, UNIMOL], ids=["fingerprint", "unimol"])
def test_property_regression_and_classes(same, tmp_path, encoder):
    run = tmp_path / "run"
    found = fit(run, same, "Property", encoder=encoder, epochs=150, lr=5e-3)["metrics"]
    assert found["test/number/MAE"] < 0.1
    assert found["test/class/ROC-AUC"] > 0.95
    assert pq.read_table(run / "predictions.parquet").num_rows == 2 * 16 * 2


@pytest.mark.slow
def test_retrieval_with_two_towers(same, tmp_path):
    found = fit(tmp_path / "run", same, "Retrieval", encoder=FINGERPRINT, text=TEXT, epochs=60)["metrics"]
    assert found["test/m2t/R@5"] > 0.95
    assert found["test/score"] > 0.7


@pytest.mark.slow
def test_retrieval_by_an_encoder_of_its_own_and_reranked(same, tmp_path):
    found = fit(tmp_path / "run", same, "Retrieval", encoder=QFORMER, epochs=200, batch=16, rerank=8)["metrics"]
    assert found["test/m2t/R@5"] > 0.9
    assert found["test/rerank/candidates"] == 8
    assert found["test/rerank/m2t/R@5"] > 0.9


@pytest.mark.slow
def test_pretraining(same, tmp_path):
    objective = {"class_path": "molfusion.encoders.UniMolPretraining", "init_args": {"encoder": UNIMOL}}
    first = fit(tmp_path / "a", same, "Pretraining", objective=objective, epochs=1)["metrics"]["test/loss"]
    last = fit(tmp_path / "b", same, "Pretraining", objective=objective, epochs=60)["metrics"]["test/loss"]
    assert last < 0.75 * first

"""What a run leaves behind, that it is the same again, and that killing it loses nothing."""

import json
import os
import signal
import subprocess
import sys
import time

import pyarrow.parquet as pq
import pytest
import torch
import yaml

import molfusion
from molfusion.chem.selfies import alphabet
from molfusion.config import ConfigError, compose
from molfusion.runner import Run
from molfusion.tasks import Property
from tests.tasks.helpers import FINGERPRINT, QFORMER, TEXT, UNIMOL, config, fit

pytestmark = pytest.mark.slow


def weights(folder, name="last"):
    return torch.load(folder / "checkpoints" / f"{name}.ckpt", weights_only=True)["state_dict"]


def test_a_run_is_a_folder(card, tmp_path):
    folder = tmp_path / "run"
    result = fit(folder, card, "Retrieval", encoder=QFORMER)
    found = json.loads((folder / "metrics.json").read_text())
    assert found == json.loads(json.dumps(result))
    assert found["encoder"] == "QFormer(Fingerprint)"
    assert found["data"]["records"] == {"train": 16, "val": 4, "test": 4}
    for key in ("parameters", "trained_parameters", "molecules_per_second", "train_seconds", "steps", "padding"):
        assert found["cost"][key] is not None
    for key in ("source_digest", "versions", "device", "processor"):
        assert found["provenance"][key]
    assert found["cost"]["steps"] == 6
    assert set(found["cost"]["padding"]) == {"TextView"}
    rows = pq.read_table(folder / "predictions.parquet")
    assert set(rows["split"].to_pylist()) == {"val", "test"}
    assert (folder / "log.csv").read_text().startswith("step,epoch,name,value")
    assert list((folder / "tensorboard").glob("events*"))
    for name in ("best", "last"):
        assert weights(folder, name)
    fragment = yaml.safe_load((folder / "encoder.yaml").read_text())
    assert fragment["class_path"] == "molfusion.encoders.restore"


def test_the_export_is_the_encoder(card, tmp_path):
    fit(tmp_path / "a", card, "Retrieval", encoder=FINGERPRINT, text=TEXT)
    fragment = str(tmp_path / "a" / "encoder.yaml")
    frozen = {"class_path": "molfusion.encoders.Frozen", "init_args": {"encoder": fragment}}
    fit(tmp_path / "b", card, "Property", encoder=frozen, epochs=1)
    one, two = weights(tmp_path / "a", "best"), weights(tmp_path / "b", "best")
    trained = {k: v for k, v in one.items() if k.startswith("encoder.")}
    assert trained
    assert all(torch.equal(v, two[f"encoder.{k}"]) for k, v in trained.items())
    # and exported once more it is still one restored encoder, not a chain of them
    again = yaml.safe_load((tmp_path / "b" / "encoder.yaml").read_text())
    assert again["init_args"]["encoder"]["init_args"]["encoder"]["class_path"] == "molfusion.encoders.Fingerprint"
    assert (tmp_path / "a" / "text.yaml").is_file()


def test_folders_can_move(card, tmp_path):
    fit(tmp_path / "x" / "a", card, "Retrieval", encoder=FINGERPRINT, text=TEXT, epochs=1)
    fragment = str(tmp_path / "x" / "a" / "encoder.yaml")
    first = fit(tmp_path / "x" / "b", card, "Property", encoder=fragment, epochs=1)["metrics"]
    (tmp_path / "x").rename(tmp_path / "y")
    moved = tmp_path / "y" / "b"
    found = Run(compose([moved / "config.yaml"]), moved).evaluate("test", "best")
    assert found["test/score"] == pytest.approx(first["test/score"])

def test_a_run_moves_alone_with_the_vocabulary_it_reads(card, tmp_path):
    tokens = tmp_path / "tokens.txt"
    tokens.write_text("\n".join(alphabet("default")))
    decoder = {"class_path": "molfusion.decoders.SelfiesDecoder", "init_args": {"dim": 4, "hidden": 8, "vocabulary": str(tokens)}}
    whole = {"class_path": "molfusion.encoders.Autoencoder", "init_args": {"encoder": FINGERPRINT, "decoder": decoder}}
    fit(tmp_path / "a", card, "Property", encoder=whole, epochs=1)
    (tmp_path / "a").rename(tmp_path / "b")
    tokens.unlink()
    assert len(molfusion.load(tmp_path / "b").predict(["CCO"])) == 1
    assert len(molfusion.load(tmp_path / "b" / "encoder.yaml").embed(["CCO"])[0]["vector"]) == 4


@pytest.mark.parametrize("best", ["last", "first"])
def test_validation_is_asked_again_only_if_the_last_was_not_the_best(card, tmp_path, monkeypatch, best):
    asked, scores = [], iter(range(9) if best == "last" else range(9, 0, -1))
    evaluate, score = Property.evaluate, Run.score

    def scored(self, observed, split):
        metrics, rows = evaluate(self, observed, split)
        return {**metrics, "score": float(next(scores))} if self.trainer.state.fn == "fit" else metrics, rows

    monkeypatch.setattr(Property, "evaluate", scored)
    monkeypatch.setattr(Run, "score", lambda self, built, split, path: asked.append(split) or score(self, built, split, path))
    result = fit(tmp_path / "a", card, "Property", encoder=FINGERPRINT)
    assert asked == (["test"] if best == "last" else ["val", "test"])
    again = Run(compose([tmp_path / "a" / "config.yaml"]), tmp_path / "a").evaluate("val", "best")
    kept = {name: value for name, value in result["metrics"].items() if name.startswith("val/")}
    assert kept.keys() == again.keys()
    del kept["val/score"]  # made up above
    assert {name: again[name] for name in kept} == pytest.approx(kept, rel=1e-6)
    rows = pq.read_table(tmp_path / "a" / "predictions.parquet")
    assert rows["split"].to_pylist().count("val") == 4 * len(result["data"]["targets"])


def test_same_seed_same_numbers_another_seed_others(card, tmp_path):
    settings = {"encoder": UNIMOL, "text": TEXT, "overrides": ["data.sentences=1"]}  # dropout, drawn sentences, order
    fit(tmp_path / "a", card, "Retrieval", **settings)
    fit(tmp_path / "b", card, "Retrieval", **settings)
    one, two = weights(tmp_path / "a"), weights(tmp_path / "b")
    assert all(torch.equal(one[k], two[k]) for k in one)
    assert (tmp_path / "a" / "predictions.parquet").read_bytes() == (tmp_path / "b" / "predictions.parquet").read_bytes()
    settings["overrides"] = ["data.sentences=1", "seed_everything=1"]
    fit(tmp_path / "c", card, "Retrieval", **settings)
    assert not all(torch.equal(one[k], v) for k, v in weights(tmp_path / "c").items())


def test_a_finished_run_is_read_and_not_run_again(card, tmp_path):
    fit(tmp_path / "a", card, "Property", encoder=FINGERPRINT)
    before = (tmp_path / "a" / "metrics.json").stat().st_mtime_ns
    fit(tmp_path / "a", card, "Property", encoder=FINGERPRINT)
    assert (tmp_path / "a" / "metrics.json").stat().st_mtime_ns == before
    with pytest.raises(ConfigError, match="holds a run of another config"):
        fit(tmp_path / "a", card, "Property", encoder=FINGERPRINT, epochs=4)


SLOWED = """
import sys, time, torch
torch.set_num_threads(1)
import molfusion.runner as runner
runner.CHECKPOINT_EVERY = int(sys.argv[3])
from molfusion.tasks.base import Task
step = Task.training_step
def slow(self, batch, index):
    time.sleep(0.15)
    return step(self, batch, index)
if len(sys.argv) > 4:
    Task.training_step = slow
from tests.tasks.helpers import *
from pathlib import Path
settings = dict(encoder=UNIMOL, text=TEXT, epochs=4, batch=3, overrides=["data.sentences=1"])
Run(config(Path(sys.argv[1]), "Retrieval", **settings), Path(sys.argv[2])).fit()
"""


@pytest.mark.parametrize("every", [1, 1000], ids=["from-any-step", "from-validation"])
def test_killed_in_the_middle_it_ends_with_the_same_weights(card, tmp_path, every):
    """Dropout, drawn sentences, order, optimiser, schedule, best so far: all go on where they were (5 steps an epoch)."""

    def start(folder, *slow):
        return subprocess.Popen([sys.executable, "-c", SLOWED, str(card), str(folder), str(every), *slow], env=os.environ)

    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert start(whole).wait(timeout=300) == 0
    kills = 0
    for wanted in (3, 8, 12):  # steps after which to pull the plug; none ends an epoch
        process = start(killed, "slow")
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and process.poll() is None:
            path = killed / "checkpoints" / "last.ckpt"
            if path.is_file() and torch.load(path, weights_only=True)["global_step"] >= wanted:
                break
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
        kills += not (killed / "metrics.json").is_file()
    assert kills == 3, "the run was over before it could be killed"
    assert start(killed).wait(timeout=300) == 0
    one, two = weights(whole), weights(killed)
    assert all(torch.equal(one[k], two[k]) for k in one)
    one, two = weights(whole, "best"), weights(killed, "best")
    assert all(torch.equal(one[k], two[k]) for k in one)
    scores = [json.loads((f / "metrics.json").read_text())["metrics"] for f in (whole, killed)]
    assert scores[0] == scores[1]


def test_bf16_trains(card, tmp_path):
    overrides = ["trainer.precision=bf16-mixed"]
    found = fit(tmp_path / "a", card, "Retrieval", encoder=UNIMOL, text=TEXT, overrides=overrides)["metrics"]
    assert 0 <= found["test/score"] <= 1


def test_the_config_in_a_run_rebuilds_it(card, tmp_path):
    first = fit(tmp_path / "a", card, "Property", encoder=FINGERPRINT)["metrics"]
    run = Run(compose([tmp_path / "a" / "config.yaml"]), tmp_path / "a")
    assert run.evaluate("test", "best")["test/score"] == pytest.approx(first["test/score"])
    with pytest.raises(ConfigError, match="no checkpoint"):
        run.evaluate("test", "nowhere.ckpt")
    assert config(card, "Property", encoder=FINGERPRINT).tree["data"]["card"] == str(card)


NEW = "name: new\ntitle: New\nlicence: none\nfiles: {test: {path: new.csv}}\ncolumns: {id: name, smiles: smiles}\n"


def test_predictions_of_new_molecules_lose_nobody(card, tmp_path):
    """Without the training data, and with the reason where there is no prediction."""
    fit(tmp_path / "a", card, "Property", encoder=FINGERPRINT)
    (tmp_path / "new.csv").write_text("name,smiles\na,CCO\nb,C1CC\nc,c1ccccc1O\n")
    (tmp_path / "new.yaml").write_text(NEW)
    rows = {row["id"]: row for row in molfusion.load(tmp_path / "a").predict(tmp_path / "new.yaml")}
    assert rows.keys() == {"a", "b", "c"}
    assert 0 <= rows["c"]["class"] <= 1
    assert rows["a"]["problem"] == ""
    assert "not a SMILES" in rows["b"]["problem"]
    # the same molecule got the same number when the run was trained
    held = pq.read_table(tmp_path / "a" / "predictions.parquet").to_pylist()
    assert {row["id"] for row in held} >= {"c16"}
    told = {row["id"]: row for row in molfusion.load(tmp_path / "a").predict()}
    assert len(told) == 24
    for row in held:
        assert told[row["id"]][row["target"]] == pytest.approx(row["predicted"], rel=1e-5)


def test_predictions_of_retrieval_are_embeddings(card, tmp_path):
    fit(tmp_path / "a", card, "Retrieval", encoder=QFORMER, epochs=1)
    rows = molfusion.load(tmp_path / "a").predict()
    assert {len(row["molecule"]) for row in rows} == {2 * 16}
    assert all(abs(sum(x * x for x in row["text"]) - 1) < 1e-5 for row in rows)

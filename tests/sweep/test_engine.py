"""Whole sweeps on a card of 24 molecules: what fails alone, what is not run twice, what survives a kill."""

import contextlib
import io
import json

import pytest
import yaml

from molfusion.tasks import Retrieval
from tests.sweep.helpers import FILLED, PROPERTY, RETRIEVAL, finished, ran, sweep, write
from tests.tasks.helpers import QFORMER

pytestmark = pytest.mark.slow

ALONE = "Fingerprint does not align itself with text: give Retrieval a `text` encoder"
TYPO = "ValueError: weights names 'contrst'; the losses are contrast"
TABLES = {
    "retrieval": {
        "set": {"model": RETRIEVAL},
        "baselines": ["chance"],
        "reliance": ["shuffle", "blank"],
        "rows": {
            "Alone": {"set": {"model.text": None}},  # the first row of all: baselines must not depend on it
            "FP": {},
            "QFormer(FP)": {
                "needs": "FP",
                "parts": ["FP"],
                "set": {
                    "model": {**RETRIEVAL, "init_args": {**RETRIEVAL["init_args"], "text": None, "encoder": QFORMER}},
                    "model.encoder.encoder": "{needs}/encoder.yaml",
                },
            },
            "On Alone": {"needs": "Alone", "set": FILLED},
            "Broken": {"set": {"model.weights": {"contrst": 1.0}}},
            "On Broken": {"needs": "Broken", "set": FILLED},
            "On both": {"needs": "On Broken", "set": FILLED},
        },
    },
    "property": {
        "set": {"model": PROPERTY},
        "baselines": ["mean", "ridge"],
        "rows_of": {"table": "retrieval", "set": FILLED},
    },
}


@pytest.fixture(scope="module")
def done(card, cache, tmp_path_factory):
    """One sweep with all that can become of a cell: its file, folder, exit code, output and cells."""
    folder = tmp_path_factory.mktemp("sweep")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOLFUSION_CACHE", str(cache))
        file = write(folder, card, TABLES, title="All at once")
        return file, folder / "out", *ran(file, folder / "out")


def test_a_failing_cell_stands_alone(done):
    _, out, code, told, cells = done
    assert code == 1
    assert {k.removesuffix("/0"): c["status"] for k, c in cells.items()} == {
        "retrieval/Alone": "n/a", "retrieval/FP": "done", "retrieval/QFormer(FP)": "done",
        "retrieval/On Alone": "n/a", "retrieval/Broken": "failed", "retrieval/On Broken": "n/a",
        "retrieval/On both": "n/a",
        "property/Alone": "n/a", "property/FP": "done", "property/QFormer(FP)": "done",
        "property/On Alone": "n/a", "property/Broken": "n/a", "property/On Broken": "n/a", "property/On both": "n/a",
    }  # fmt: skip
    assert "4 of 14 runs done" in told
    assert f"failed: retrieval/Broken/0: {TYPO}" in told
    error = (out / cells["retrieval/Broken/0"]["folder"] / "error.txt").read_text()
    assert error.splitlines()[0] == TYPO
    assert "Traceback" in error
    assert not (out / cells["retrieval/Broken/0"]["folder"] / "metrics.json").exists()


def test_a_fusion_is_asked_which_input_it_uses(done):
    """Blank fingerprints are all alike: retrieval can only guess; the unfused row is not asked."""
    _, out, _, _, cells = done
    folder = out / cells["retrieval/QFormer(FP)/0"]["folder"]
    found = json.loads((folder / "reliance.json").read_text())
    assert {view: set(ways) for view, ways in found.items()} == {"fingerprint": {"shuffle", "blank"}}
    chance = json.loads((out / "retrieval" / "baseline-chance" / "metrics.json").read_text())["metrics"]
    assert found["fingerprint"]["blank"]["test/t2m/MRR"] == pytest.approx(chance["test/t2m/MRR"])
    whole = json.loads((folder / "metrics.json").read_text())["metrics"]
    assert found["fingerprint"]["shuffle"].keys() == {k for k in whole if k.startswith("test/")}
    assert not (out / cells["retrieval/FP/0"]["folder"] / "reliance.json").exists()
    page = (out / "report.md").read_text()
    assert "### Is each input used" in page
    assert "| QFormer(FP) | fingerprint | another molecule's (shuffle) |" in page


def test_reasons_are_told_along_the_chain(done):
    _, out, _, _, cells = done
    reasons = {k.removesuffix("/0"): c["reason"] for k, c in cells.items()}
    assert reasons["retrieval/Alone"] == ALONE
    assert reasons["retrieval/On Alone"] == "needs Alone, which is n/a"
    assert reasons["retrieval/On Broken"] == f"needs Broken, which failed: {TYPO}"
    assert reasons["retrieval/On both"] == f"needs On Broken, which is n/a: needs Broken, which failed: {TYPO}"
    assert reasons["retrieval/FP"] == ""
    page, markdown = (out / "report.html").read_text(), (out / "report.md").read_text()
    assert "needs Broken, which failed: ValueError: weights names &#39;contrst&#39;" in page
    assert f"needs Broken, which failed: {TYPO}" in markdown
    for key in ("retrieval/Alone/0", "retrieval/On both/0"):  # nothing was run there
        assert not (out / cells[key]["folder"] / "output.txt").exists()


def test_a_fusion_starts_from_the_run_it_needs(done):
    _, out, _, _, cells = done
    config = yaml.safe_load((out / cells["retrieval/QFormer(FP)/0"]["folder"] / "config.yaml").read_text())
    restored = config["model"]["init_args"]["encoder"]["init_args"]["encoder"]
    assert restored["class_path"] == "molfusion.encoders.restore"
    home = out / cells["retrieval/QFormer(FP)/0"]["folder"]
    needed = out / cells["retrieval/FP/0"]["folder"] / "encoder.safetensors"
    assert (home / restored["init_args"]["weights"]).resolve() == needed.resolve()


def test_baselines_are_there_whatever_becomes_of_the_rows(done):
    _, out, *_ = done
    chance = json.loads((out / "retrieval" / "baseline-chance" / "metrics.json").read_text())
    assert chance["metrics"]["test/m2t/R@1"] == 0.25
    assert chance["task"] == "Retrieval"
    assert chance["data"]["records"] == {"train": 16, "val": 4, "test": 4}
    assert (out / "property" / "baseline-mean" / "predictions.parquet").is_file()
    ridge = out / "property" / "baseline-ridge"
    assert (ridge / "metrics.json").is_file(), (ridge / "error.txt").read_text()


def test_a_finished_sweep_is_not_run_again(done):
    file, out, _, _, cells = done
    before = finished(out)
    assert len(before) == 7  # four runs, three baselines
    broken = out / cells["retrieval/Broken/0"]["folder"] / "output.txt"
    size = broken.stat().st_size
    code, told, again = ran(file, out)
    assert code == 1
    assert "4 of 14 runs done" in told
    assert finished(out) == before
    assert broken.stat().st_size == size  # nor is what failed
    assert again == cells


def test_retry_runs_what_failed(card, tmp_path, monkeypatch):
    """It stays aside until asked for; then it runs, and so does what depends on it."""
    rows = {"Fine": {}, "Mended": {"set": {"model.width": 8}}, "On Mended": {"needs": "Mended", "set": FILLED}}
    file, out = write(tmp_path, card, {"t": {"set": {"model": RETRIEVAL}, "rows": rows}}), tmp_path / "out"
    losses = Retrieval.losses

    def out_of_memory(self, batch):
        if self.towers.text_head.out_features == 8:
            raise RuntimeError("out of memory:\n  tried hard")
        return losses(self, batch)

    def statuses(*words):
        code, _, cells = ran(file, out, *words)
        return code, [cells[f"t/{row}/0"]["status"] for row in rows], cells["t/Mended/0"]["reason"]

    with monkeypatch.context() as patch:
        patch.setattr(Retrieval, "losses", out_of_memory)  # a run is forked from this process
        failed = (1, ["done", "failed", "n/a"], "RuntimeError: out of memory: tried hard")
        assert statuses() == failed
    before = finished(out)
    assert statuses() == failed
    assert statuses("--retry") == (0, ["done"] * 3, "")
    assert not list(out.rglob("error.txt"))
    assert {k: v for k, v in finished(out).items() if k in before} == before


def test_mistakes_are_found_before_the_first_run(card, tmp_path):
    for tables, expected in (
        ({"t": {"set": {"model": RETRIEVAL}, "rows": {"A": {}}, "baselines": ["rdige"]}}, "no baseline 'rdige'"),
        ({"t": {"set": {"model": RETRIEVAL}, "rows": {"A": {}, "B": {"set": {"model.widht": 3}}}}}, "did you mean 'width'"),
    ):
        file = write(tmp_path, card, tables)
        told = io.StringIO()
        with contextlib.redirect_stderr(told):
            assert sweep(file, tmp_path / "out") == 2
        assert expected in told.getvalue()
        assert len(told.getvalue().splitlines()) == 1
        assert not (tmp_path / "out").exists()


def test_jobs_and_only_are_checked(card, tmp_path):
    file = write(tmp_path, card, {"t": {"set": {"model": RETRIEVAL}, "rows": {"A": {}}}})
    for words, expected in (
        (["-j", "0"], "--jobs 0: expected at least 1"),
        (["--only", "colour=red"], "--only 'colour=red': expected table=…, row=… or seed=…"),
        (["--only", "row=B"], "--only row=B: no such row"),
    ):
        told = io.StringIO()
        with contextlib.redirect_stderr(told):
            assert sweep(file, tmp_path / "out", *words) == 2
        assert expected in told.getvalue()


def test_a_baseline_follows_its_data(card, tmp_path):
    """Same sweep, same folder, other data: a baseline of the old data beside new runs would compare nothing."""
    table = {"set": {"model": PROPERTY, "data.targets": ["number"]}, "rows": {"FP": {}}, "baselines": ["mean"]}
    out = tmp_path / "out"
    ran(write(tmp_path, card, {"t": table}), out)
    metrics = out / "t" / "baseline-mean" / "metrics.json"
    whole = json.loads(metrics.read_text())["metrics"]["test/number/MAE"]
    table["set"]["data.train_fraction"] = 0.25
    ran(write(tmp_path, card, {"t": table}), out)
    assert json.loads(metrics.read_text())["metrics"]["test/number/MAE"] != whole


def test_the_plan_alone_runs_nothing(card, tmp_path, capsys):
    file = write(tmp_path, card, {"t": {"set": {"model": RETRIEVAL}, "rows": {"A": {}, "B": {"set": {"model.width": 8}}}}})
    assert sweep(file, tmp_path / "out", "--plan") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ->  ")[0] for line in lines] == ["t/A/0", "t/B/0"]
    assert not (tmp_path / "out").exists()

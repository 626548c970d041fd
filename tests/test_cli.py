"""The front door, as a user meets it: in a process of its own."""

import subprocess
import sys

import pytest

FIT = ["fit", "-c", "experiments/base.yaml", "-c", "experiments/tasks/property.yaml"]
TEXT = ["--model.encoder", "experiments/encoders/tiny/text.yaml"]
GIN = ["--model.encoder", "experiments/encoders/tiny/gin.yaml"]


def molfusion(*words, cwd):
    command = [sys.executable, "-m", "molfusion", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=300)


@pytest.mark.parametrize("command", [[], ["fit"], ["sweep"], ["cards"], ["export"]])
def test_help(command, tmp_path):
    done = molfusion(*command, "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert "usage: molfusion" in done.stdout


def test_version(tmp_path):
    assert molfusion("--version", cwd=tmp_path).stdout.startswith("molfusion ")


def test_print_config_composes_without_torch(tmp_path):
    code = (
        "import sys; from molfusion.cli import main;"
        "main(['fit', '-c', 'experiments/base.yaml', '--data.batch_size', '5', '--print-config']);"
        "assert 'torch' not in sys.modules and 'lightning' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "batch_size: 5" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([*FIT, *GIN, "--model.encoder.layer", "3"], "model.encoder.layer: GIN has no argument 'layer'; did you mean 'layers'?"),
        ([*FIT, *GIN, "--trainer.max_epoch", "3"], "trainer.max_epoch: Trainer has no argument 'max_epoch'; did you mean"),
        ([*FIT, *GIN, "--dta.card", "demo"], "unknown section 'dta'; did you mean 'data'?"),
        (
            [*FIT, *GIN, "--model.class_path", "molfusion.tasks.Propery"],
            "cannot import 'molfusion.tasks.Propery'; did you mean 'Property'?",
        ),
        ([*FIT, *GIN, "--model.encoder.class_path", "os.system"], "'os.system' is not under molfusion, torch"),
        ([*FIT, *GIN, "--data.batch_size", "many"], "data.batch_size"),
        ([*FIT, "--model.encoder", "nowhere.yaml"], "no such config file: nowhere.yaml"),
        (
            [*FIT, *TEXT, "--model.encoder.tokenizer", "nobody/nothing"],
            "tokenizer 'nobody/nothing': no such folder, and not to be had from the hub",
        ),
        (
            [*FIT, *TEXT, "--model.encoder.name", "nobody/nothing", "--model.encoder.tokenizer", "molfusion"],
            "text model 'nobody/nothing': no such folder, and not to be had from the hub",
        ),
        ([*FIT, *TEXT, "--model.encoder.name", "package://no_such/x"], "the package no_such is not installed"),
        ([*FIT, *GIN, "--data.card", "dmo"], "no data card 'dmo'; did you mean 'demo'?"),
        ([*FIT, *GIN, "--data.card", "demo"], "card demo has no targets"),
        (["fit"], "give at least one --config FILE"),
        ([*FIT, "--data.card"], "needs a value"),
        (["report", "."], "is not the folder of a sweep"),
        (["sweep", "nowhere.yaml"], "no such sweep"),
    ],
    ids=lambda x: " ".join(x)[-40:] if isinstance(x, list) else "",
)  # fmt: skip
def test_a_mistake_is_one_line_and_code_2(words, expected, tmp_path):
    done = molfusion(*words, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert expected in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr


@pytest.mark.slow
def test_debug_shows_the_traceback(tmp_path):
    done = molfusion(*FIT, *GIN, "--data.card", "dmo", "--debug", cwd=tmp_path)
    assert done.returncode == 2
    assert "Traceback" in done.stderr

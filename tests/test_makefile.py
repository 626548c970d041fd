"""`make` hands on what it is told; nothing is installed or trained here."""

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from molfusion.cli import main

ROOT = Path(__file__).parent.parent
SWEEPS = sorted((ROOT / "experiments" / "sweeps").rglob("*.yaml"))
pytestmark = pytest.mark.skipif(not (ROOT / "Makefile").is_file() or not shutil.which("make"), reason="no checkout, or no make")


def recipe(*words):
    """The last command that make would run."""
    asked = ["make", "--no-print-directory", "-n", *words]
    theirs = {"MAKEFLAGS", "MAKEOVERRIDES", "MAKELEVEL", "MFLAGS", "ARGS", "OUT", "SWEEP"}  # of the `make test` around this
    own = {k: v for k, v in os.environ.items() if k not in theirs}
    said = subprocess.run(asked, cwd=ROOT, env=own, capture_output=True, text=True, check=True).stdout
    return shlex.split(said.splitlines()[-1])


@pytest.mark.parametrize("file", SWEEPS, ids=lambda p: p.relative_to(ROOT / "experiments" / "sweeps").as_posix())
def test_make_sweep_plans_each_file(file, monkeypatch, capsys):
    """Each goes where its path says: two papers have a `stages.yaml`, and neither writes over the other's."""
    monkeypatch.chdir(ROOT)
    program, *words = recipe("sweep", f"SWEEP={file.relative_to(ROOT)}", "ARGS=--plan")
    assert program == ".venv/bin/molfusion"
    assert main(words) == 0, capsys.readouterr().err
    home = Path("runs", file.relative_to(ROOT / "experiments" / "sweeps").with_suffix(""))
    cells = capsys.readouterr().out.splitlines()
    assert cells
    assert all("->  n/a: " in cell or f"->  {home}/" in cell for cell in cells)  # own_data.yaml: its example has no numbers


def test_a_folder_of_ones_own():
    assert recipe("sweep", "OUT=elsewhere")[-3:] == ["experiments/sweeps/side_by_side.yaml", "--out", "elsewhere"]


def test_reports_of_the_side_by_side_by_default():
    assert recipe("report")[-2:] == ["report", "runs/side_by_side"]
    assert recipe("report", "OUT=elsewhere")[-2:] == ["report", "elsewhere"]

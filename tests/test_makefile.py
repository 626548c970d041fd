"""`make` hands on what it is told; nothing is installed or trained here."""

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
    said = subprocess.run(["make", "-n", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return shlex.split(said.splitlines()[-1])


@pytest.mark.parametrize("file", SWEEPS, ids=lambda p: p.relative_to(ROOT / "experiments" / "sweeps").as_posix())
def test_make_sweep_plans_each_file(file, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    program, *words = recipe("sweep", f"SWEEP={file.relative_to(ROOT)}", f"OUT={tmp_path}", "ARGS=--plan")
    assert program == ".venv/bin/molfusion"
    assert main(words) == 0, capsys.readouterr().err
    assert f"->  {tmp_path}" in capsys.readouterr().out


def test_a_sweep_goes_where_its_path_says(monkeypatch, capsys):
    """Two papers have a `stages.yaml`: neither writes over the other's."""
    monkeypatch.chdir(ROOT)
    homes = set()
    for file in SWEEPS:
        assert main(recipe("sweep", f"SWEEP={file.relative_to(ROOT)}", "ARGS=--plan --only seed=0")[1:]) == 0
        said = capsys.readouterr().out
        home = str(Path("runs", file.relative_to(ROOT / "experiments" / "sweeps").with_suffix("")))
        assert all(f"->  {home}/" in line for line in said.splitlines())
        homes.add(home)
    assert len(homes) == len(SWEEPS)


def test_reports_of_the_side_by_side_by_default():
    assert recipe("report")[-2:] == ["report", "runs/side_by_side"]
    assert recipe("report", "OUT=elsewhere")[-2:] == ["report", "elsewhere"]

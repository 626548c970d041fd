import contextlib
import csv
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.sweep.helpers import FILLED, RETRIEVAL, finished, ran, write

pytestmark = pytest.mark.slow

SLOWED = """
import sys, time
import molfusion.runner as runner
runner.CHECKPOINT_EVERY = 1
from molfusion.tasks.base import Task
step = Task.training_step
def slow(self, batch, index):
    time.sleep(0.25)
    return step(self, batch, index)
Task.training_step = slow
from molfusion.cli import main
main(["sweep", sys.argv[1], "--out", sys.argv[2], "-j", "2"])
"""


def alive(folder: Path) -> list[int]:
    """Processes whose output goes into that folder."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with contextlib.suppress(OSError):
                if str(folder) in str((process / "fd" / "1").readlink()):
                    found.append(int(process.name))
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="that children end with a killed parent is promised on Linux only")
def test_killed_it_goes_on_and_ends(card, tmp_path):
    """Runs of 8 steps, two at a time; the parent is killed while both are half-way and the third waits for its need."""
    rows = {
        "FP": {},
        "Wide": {"set": {"model.width": 32}},
        "On FP": {"needs": "FP", "set": FILLED},
    }
    out = tmp_path / "out"
    file = write(tmp_path, card, {"t": {"set": {"model": RETRIEVAL, "trainer.max_epochs": 4}, "rows": rows}})
    process = subprocess.Popen(
        [sys.executable, "-c", SLOWED, str(file), str(out)], stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT
    )
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None and not steps(out, "Wide") >= 3:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    began = steps(out, "Wide")
    assert 3 <= began < 8
    assert not (out / "report.html").exists()
    until = time.monotonic() + 10
    while alive(out) and time.monotonic() < until:
        time.sleep(0.05)
    assert alive(out) == []
    assert steps(out, "Wide") <= began + 1  # the runs went down with it, they did not go on unwatched
    before = finished(out)
    assert len(before) < 3
    code, _, cells = ran(file, out)
    assert code == 0
    assert [c["status"] for c in cells.values()] == ["done"] * 3
    assert {k: v for k, v in finished(out).items() if k in before} == before
    assert (out / "report.html").is_file()
    # It went on where it was: no step but perhaps the last before the kill is logged twice.
    with (next((out / "t" / "Wide").iterdir()) / "log.csv").open() as lines:
        logged = [int(row["step"]) for row in csv.DictReader(lines) if row["name"] == "train/loss"]
    assert sorted(set(logged)) == list(range(8))
    assert len(logged) <= 9
    assert logged == sorted(logged)


def steps(out: Path, row: str) -> int:
    """How many steps the log of a run shows."""
    log = next(out.glob(f"t/{row}/*/log.csv"), None)
    return 0 if log is None else log.read_text().count("train/loss")

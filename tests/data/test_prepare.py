import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from molfusion.batch import Record
from molfusion.data.pool import isolated
from molfusion.data.prepare import prepare
from molfusion.data.store import ViewStore
from molfusion.views import View, ViewError


@dataclass(frozen=True)
class Trouble(View):
    """A view that does to its worker what C++ might."""

    tools: ClassVar = ()

    def featurise(self, record):
        if record.smiles == "hang":
            time.sleep(60)
        if record.smiles == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        if record.smiles == "refuse":
            raise ViewError("it will not")
        if record.smiles == "defect":
            raise ZeroDivisionError("ours")
        return {"n": np.array([len(record.smiles)])}

    def collate(self, items):
        return items


def records(*smiles):
    return [Record(s, s, s) for s in smiles]


def test_every_molecule_is_accounted_for(tmp_path):
    good = [f"m{i}" for i in range(40)]
    everyone = records(*good[:20], "crash", "refuse", "hang", "defect", *good[20:])
    (summary,) = prepare(everyone, [Trouble()], tmp_path, workers=2, timeout=1.0)
    assert summary.outcomes == {"ok": 40, "crashed": 1, "failed": 2, "timed_out": 1}
    store = ViewStore(tmp_path, Trouble())
    assert all(store.has(r) for r in records(*good))
    reasons = {e.id: e.reason for e in store.failures()}
    assert reasons["refuse"] == "it will not"
    assert reasons["crash"] == "its worker process died"
    assert "longer than 1 s" in reasons["hang"]
    assert reasons["defect"] == "ZeroDivisionError: ours"


def test_nothing_is_computed_twice(tmp_path):
    prepare(records("a", "crash"), [Trouble()], tmp_path, workers=1)
    (again,) = prepare(records("a", "crash", "b"), [Trouble()], tmp_path, workers=1)
    assert (again.present, again.computed, again.outcomes) == (2, 1, {"ok": 1})


def test_equal_molecules_are_computed_once(tmp_path):
    (summary,) = prepare(records("a", "a", "a"), [Trouble()], tmp_path, workers=2)
    assert summary.computed == 1


def test_results_do_not_depend_on_workers_or_order(tmp_path):
    smiles = [f"{'C' * n}O" for n in range(1, 12)]
    from molfusion.views import ConformerView

    view = ConformerView()
    one = [Record(s, s, s) for s in smiles]
    prepare(one, [view], tmp_path / "a", workers=1)
    prepare(one[::-1], [view], tmp_path / "b", workers=2)
    for r in one:
        first, second = (ViewStore(tmp_path / x, view).get(r)["positions"] for x in "ab")
        assert np.array_equal(first, second)


def test_progress_reaches_the_end(tmp_path):
    seen = []
    prepare(records(*"abcde"), [Trouble()], tmp_path, workers=2, progress=lambda v, done, total: seen.append((done, total)))
    assert seen[-1] == (5, 5)


def test_isolated_gives_each_index_once():
    found = sorted((o.index, o.value) for o in isolated(lambda x: x * x, list(range(100)), workers=3, timeout=10))
    assert found == [(i, i * i) for i in range(100)]


@pytest.mark.slow
def test_killed_at_any_moment_it_goes_on(tmp_path):
    """kill -9 again and again; what is done stays done and the end is complete and exact."""
    script = (
        "import sys, time; sys.path.insert(0, '.');"
        "from tests.data.test_prepare import records;"
        "import molfusion.data.prepare as p; p._SHARD_SECONDS = 0.05;"
        "from molfusion.views import ConformerView;"
        "chains = records(*('C' * n + 'O' for n in range(1, 60)))\n"
        "p.prepare(chains, [ConformerView()], __import__('pathlib').Path(sys.argv[1]), workers=2)"
    )
    rng = np.random.default_rng(0)
    for _ in range(6):
        process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)])
        time.sleep(1.5 + rng.random() * 1.5)
        process.kill()
        process.wait()
    assert subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False, timeout=120).returncode == 0
    from molfusion.views import ConformerView

    store = ViewStore(tmp_path, ConformerView())
    for r in records(*("C" * n + "O" for n in range(1, 60))):
        expected = ConformerView().featurise(r)["positions"]
        assert np.array_equal(store.get(r)["positions"], expected)

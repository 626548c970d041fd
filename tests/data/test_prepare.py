import faulthandler
import os
import shutil
import signal
import time
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from molfusion.batch import Geometry, Record
from molfusion.chem.conformer import embed
from molfusion.data.pool import isolated
from molfusion.data.prepare import prepare
from molfusion.data.store import ViewStore
from molfusion.views import ConformerView, E3FPView, View, ViewError
from molfusion.views.conformer import EmbeddingView

WATER = Geometry(np.array([8, 1, 1], np.uint8), np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], np.float32))


@dataclass(frozen=True)
class Trouble(View):
    """A view that does to its worker what C++ might."""

    tools: ClassVar = ()

    def featurise(self, record):
        if record.smiles == "hang":
            while True:
                pass
        if record.smiles == "sleep":
            time.sleep(60)
        if record.smiles == "crash":
            faulthandler.disable()  # pytest's
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


def content(root, view, everyone):
    """What the store says of each molecule, without how long it took."""
    store = ViewStore(root, view, mend=True)
    found = {}
    for r in everyone:
        arrays = {n: (a.dtype, a.shape, a.tobytes()) for n, a in store.get(r).items()} if store.has(r) else None
        found[r.smiles] = (*store.outcome(r), arrays)
    return found


def test_results_do_not_depend_on_workers_order_neighbours_or_what_else_is_prepared(tmp_path):
    everyone = records(*(f"{'C' * n}O" for n in range(1, 30, 3)), "C[C@H]1[C@@H]2[C@H]1[C@H]2C", "c1ccc2c(c1)ccc1ccccc12", "x")
    views = [ConformerView(), ConformerView(hydrogens=True), E3FPView(), E3FPView(rows="selfies", merge=True, noise=0.1)]
    prepare(everyone, views, tmp_path / "a", workers=1)
    prepare(everyone[::-1], views[2:], tmp_path / "b", workers=2)
    prepare(everyone[::2], views, tmp_path / "b", workers=2)
    prepare(everyone, views, tmp_path / "b", workers=2)
    for view in views:
        found = content(tmp_path / "a", view, everyone)
        assert found == content(tmp_path / "b", view, everyone)
        for r in everyone[:10:3]:  # and it is what the view says by itself
            for name, array in view.featurise(r).items():
                assert found[r.smiles][2][name] == (array.dtype, array.shape, array.tobytes())
        assert found["x"][:2] == ("failed", "not a SMILES: 'x'")
        assert found["C[C@H]1[C@@H]2[C@H]1[C@H]2C"][0] == "failed"


def test_an_embedding_is_paid_once_for_all_views(tmp_path, monkeypatch):
    calls = tmp_path / "calls"
    calls.touch()

    def counted(*arguments):
        with calls.open("a") as file:
            file.write("x")
        return embed(*arguments)

    monkeypatch.setattr("molfusion.views.conformer.embed", counted)
    everyone = [*records("CCO", "CCN", "CC"), Record("g", "O", "O", WATER)]
    summaries = prepare(everyone, [ConformerView(), ConformerView(hydrogens=True), E3FPView()], tmp_path, workers=2)
    assert [(s.view, s.computed) for s in summaries[:1]] == [(EmbeddingView(), 3)]
    assert {s.computed for s in summaries[1:]} == {4}
    assert calls.read_text() == "xxx"
    prepare(everyone, [ConformerView(max_atoms=2), E3FPView(bits=64)], tmp_path, workers=1)  # new views
    assert calls.read_text() == "xxx"
    prepare([*everyone, *records("CCC")], [E3FPView()], tmp_path, workers=1)  # a new molecule
    assert calls.read_text() == "xxxx"
    assert [s.view for s in prepare(everyone[3:], [ConformerView()], tmp_path, workers=1)] == [ConformerView()]


def test_nothing_is_embedded_that_no_view_lacks(tmp_path):
    """A store filled elsewhere, or whose embeddings were thrown away to save room, stays as good."""
    everyone = records("CCO", "CCN")
    prepare(everyone, [E3FPView()], tmp_path, workers=1)
    shutil.rmtree(tmp_path / EmbeddingView().name())
    assert [(s.view, s.computed) for s in prepare(everyone, [E3FPView()], tmp_path)] == [(E3FPView(), 0)]
    assert not (tmp_path / EmbeddingView().name()).exists()


def test_progress_reaches_the_end(tmp_path):
    seen = []
    prepare(records(*"abcde"), [Trouble()], tmp_path, workers=2, progress=lambda v, done, total: seen.append((done, total)))
    assert seen[-1] == (5, 5)


def test_isolated_gives_each_index_once():
    found = sorted((o.index, o.value) for o in isolated(lambda xs: [x * x for x in xs], list(range(100)), workers=3, timeout=10))
    assert found == [(i, i * i) for i in range(100)]


@pytest.mark.parametrize("group", [1, 16])
def test_what_raises_is_reported_and_costs_no_worker(group):
    def halves(items):
        if any(x % 10 == 3 for x in items):
            raise ValueError("unlucky")
        return [(x / 2, os.getpid()) for x in items]

    found = {o.index: o for o in isolated(halves, list(range(100)), workers=2, timeout=10, group=group)}
    assert {i for i, o in found.items() if o.status == "raised"} == set(range(3, 100, 10))
    assert found[13].value == "ValueError: unlucky"
    done = [o.value for o in found.values() if o.status == "done"]
    assert sorted(x for x, _ in done) == [x / 2 for x in range(100) if x % 10 != 3]
    assert len({pid for _, pid in done}) <= 2, "no worker was replaced"


def test_a_function_that_always_raises_ends():
    def broken(items):
        raise KeyError("x")

    assert [o.status for o in isolated(broken, list(range(500)), workers=2, timeout=10)] == ["raised"] * 500


def test_groups_are_as_isolated_as_single_items():
    """Items of a group that fails go one by one: only the one at fault is blamed."""

    def square(items):
        if 13 in items or 77 in items:
            faulthandler.disable()
            os.kill(os.getpid(), signal.SIGSEGV)
        while 50 in items:
            pass
        return [x * x for x in items]

    found = {o.index: (o.status, o.value) for o in isolated(square, list(range(100)), workers=2, timeout=0.3, group=16)}
    odd = {i: status for i, (status, _) in found.items() if status != "done"}
    assert odd == {13: "crashed", 77: "crashed", 50: "timed_out"}
    assert all(found[i][1] == i * i for i in range(100) if i not in odd)


def test_groups_are_groups():
    sizes = [o.value for o in isolated(lambda items: [len(items)] * len(items), list(range(64)), 2, 10, group=8)]
    assert sizes == [8] * 64
    few = [o.value for o in isolated(lambda items: [len(items)] * len(items), list(range(16)), 2, 10, group=8)]
    assert max(few) == 2  # enough groups for all workers


def test_the_limit_is_cpu_time_not_the_clock():
    """A worker that waits (for the disk, for a busy machine) is not blamed, as long as it is not for ever."""

    def wait(items):
        time.sleep(items[0])
        return items

    found = {o.index: o.status for o in isolated(wait, [0.6, 0.0, 60.0], workers=3, timeout=0.2)}
    assert found == {0: "done", 1: "done", 2: "timed_out"}


def test_what_is_done_elsewhere_is_not_handed_over():
    found = {o.index: o.status for o in isolated(list, list(range(9)), workers=2, timeout=9, wanted=lambda i: i % 2 == 0)}
    assert found == {i: "unwanted" if i % 2 else "done" for i in range(9)}

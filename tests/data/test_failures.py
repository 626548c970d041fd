"""Kills, full disks, two writers, molecules that kill their workers: nothing is lost, and what happened is told."""

import faulthandler
import logging
import multiprocessing
import os
import shutil
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

import molfusion.data.prepare as preparing
from molfusion.chem.conformer import embed
from molfusion.data.datamodule import MoleculeData
from molfusion.data.pool import isolated
from molfusion.data.records import load_records, load_rows
from molfusion.data.shards import StoreError
from molfusion.data.store import ViewStore
from molfusion.views import ConformerView, E3FPView, FingerprintView, GraphView, View
from molfusion.views.conformer import EmbeddingView
from tests.data.test_prepare import content, records
from tests.data.test_records import made

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
VIEWS = [ConformerView(), E3FPView(), FingerprintView(bits=64), GraphView()]


@dataclass(frozen=True)
class Counting(View):
    """Writes down which molecules it was asked for; some hang, kill their worker, or take all the room there is."""

    log: str
    tools: ClassVar = ()

    def featurise(self, record):
        with Path(self.log).open("a") as file:
            file.write(record.smiles + "\n")
        while record.smiles == "hang":
            pass
        if record.smiles == "crash":
            faulthandler.disable()
            os.kill(os.getpid(), signal.SIGSEGV)
        return {"n": np.zeros(100_000 if record.smiles.startswith("big") else 3, np.uint8)}

    def collate(self, items):
        return items

    def asked(self):
        return sorted(Path(self.log).read_text().split())


@pytest.fixture
def counting(tmp_path):
    return Counting(str(tmp_path / "log"))


def forked(function):
    """The process of a function, without what pytest would say at its end; its own group, as a shell gives one."""

    def run():
        os.setpgid(0, 0)
        function()
        os._exit(0)

    process = multiprocessing.get_context("fork").Process(target=run)
    process.start()
    return process


def living(group):
    """How many processes of a group there are still."""
    found = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        found += int(fields[2]) == group and fields[0] != "Z"
    return found


def test_a_molecule_that_kills_its_worker_is_tried_once(tmp_path, counting):
    everyone = records("a", "crash", "hang", "b")
    (first,) = preparing.prepare(everyone, [counting], tmp_path, workers=2, timeout=0.5)
    assert first.outcomes == {"ok": 2, "crashed": 1, "timed_out": 1}
    (second,) = preparing.prepare([*everyone, *records("c")], [counting], tmp_path, workers=2, timeout=0.5)
    assert (second.outcomes, second.present) == ({"ok": 1}, 4)
    assert counting.asked() == ["a", "b", "c", "crash", "hang"]
    told = {e.id: (e.status, e.reason) for e in ViewStore(tmp_path, counting).ledger()}
    assert told == {"crash": ("crashed", "its worker process died"), "hang": ("timed_out", "took longer than 0.5 s")}
    assert {e.id: round(e.seconds, 1) for e in ViewStore(tmp_path, counting).ledger()}["hang"] == 0.5


def test_only_on_demand_is_it_tried_again(tmp_path, counting):
    preparing.prepare(records("a", "crash"), [counting], tmp_path, workers=1)
    (again,) = preparing.prepare(records("a", "crash"), [counting], tmp_path, workers=1, retry=True)
    assert again.outcomes == {"crashed": 1}
    assert counting.asked() == ["a", "crash", "crash"]
    assert len(ViewStore(tmp_path, counting).failures()) == 1


def test_views_that_need_an_embedding_tell_what_became_of_it(tmp_path, monkeypatch):
    """It hung in the embedding: each view says so, and none tries again."""

    def hangs(mol, *settings):
        while mol.GetNumAtoms() == 4:
            pass
        return embed(mol, *settings)

    monkeypatch.setattr("molfusion.views.conformer.embed", hangs)
    everyone = records("CCO", "CCCC", "C" * 39 + "O", "C" * 257)
    settled = [ConformerView(), E3FPView(), E3FPView(fallback=True)]
    preparing.prepare(everyone, settled, tmp_path, workers=2, timeout=1.0)
    for view in settled[:2]:
        store = ViewStore(tmp_path, view)
        told = {e.smiles: (e.status, e.reason) for e in store.ledger()}
        assert told == {
            "CCCC": ("timed_out", "took longer than 1 s"),
            "C" * 39 + "O": ("fell_back", "embedded from random coordinates"),
            "C" * 257: ("failed", "257 heavy atoms; coordinates are embedded up to 256 (max_embedded)"),
        }
    rough = ViewStore(tmp_path, settled[2])
    assert rough.outcome(everyone[1]) == ("fell_back", "without coordinates: took longer than 1 s")
    assert (rough.get(everyone[1])["ids"] == -1).all()
    assert all(s.computed == 0 for s in preparing.prepare(everyone, settled, tmp_path, workers=1))


def test_a_full_disk_ends_it_in_one_line_and_keeps_what_was_written(tmp_path, counting, monkeypatch):
    import resource

    monkeypatch.setattr(preparing, "_SHARD_SECONDS", 0.0)
    everyone = records("a", "b", "c", "big", "d", "e")
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limit[1]))
    try:
        with pytest.raises(StoreError, match=r"File too large.*: make room.* what was written before is kept") as told:
            preparing.prepare(everyone, [counting], tmp_path, workers=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert len(str(told.value).splitlines()) == 1
    kept = len(ViewStore(tmp_path, counting, mend=True))
    (rest,) = preparing.prepare(everyone, [counting], tmp_path, workers=1)
    assert (rest.present, rest.computed) == (kept, 6 - kept)


def test_the_records_of_a_card_survive_a_full_disk_and_a_flipped_bit(tmp_path, caplog):
    import resource

    card = made(tmp_path, "s\n" + "\n".join("C" * n + "O" for n in range(1, 60)) + "\nxyz\n")
    cache = tmp_path / "cache"
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limit[1]))
    try:
        with pytest.raises(StoreError, match=r"cannot be written .*: make room"):
            load_records(card, cache)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert not list(cache.rglob("*.parquet"))
    expected = load_records(card, cache)
    numbers = load_rows(card, cache)
    kept = [*cache.rglob("*.parquet")]
    assert len(kept) == 3  # records, what was left out, and the order of both
    for file in kept:
        whole = file.read_bytes()
        for place in (0, 200, len(whole) // 2, len(whole) - 5):
            file.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
            found = load_records(card, cache)
            assert [r.smiles for r in found.records] == [r.smiles for r in expected.records]
            assert found.dropped == expected.dropped
            assert load_rows(card, cache) == numbers
        for damaged in (b"", whole[: len(whole) // 2]):
            file.write_bytes(damaged)
            assert len(load_records(card, cache).records) == 59
            assert load_rows(card, cache) == numbers
    assert "is read again" in caplog.text


def test_damage_is_found_by_prepare_and_computed_again(tmp_path, caplog):
    everyone = records(*("C" * n + "O" for n in range(1, 9)))
    for k, folder in enumerate((tmp_path / "a", tmp_path / "b")):
        for part in (everyone[: 4 + k], everyone):
            preparing.prepare(part, VIEWS, folder, workers=1)
    before = {view: content(tmp_path / "a", view, everyone) for view in VIEWS}
    rng = np.random.default_rng(0)
    damaged = 0
    for path in sorted((tmp_path / "a").rglob("*.arrow")):
        whole = bytearray(path.read_bytes())
        place = rng.integers(len(whole))
        whole[place] ^= 1 << rng.integers(8)
        path.write_bytes(whole)
        damaged += 1
    with caplog.at_level(logging.WARNING):
        summaries = preparing.prepare(everyone, VIEWS, tmp_path / "a", workers=1)
    assert {s.computed for s in summaries} == {8}
    assert len(caplog.records) == damaged == 10
    assert {view: content(tmp_path / "a", view, everyone) for view in VIEWS} == before
    assert before == {view: content(tmp_path / "b", view, everyone) for view in VIEWS}


def test_interrupted_by_hand_it_keeps_what_was_done(tmp_path, counting):
    def interrupt(view, done, total):
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        preparing.prepare(records(*"abcdefgh"), [counting], tmp_path, workers=1, progress=interrupt)
    assert len(ViewStore(tmp_path, counting)) == 5


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_workers_do_not_outlive_a_killed_parent(tmp_path):
    """Even those with more to say than a pipe holds, while their siblings hold its other end."""

    def work(items):
        (tmp_path / f"{os.getpid()}").touch()
        return [b"x" * 1_000_000 for _ in items]

    def run():
        for _ in isolated(work, list(range(1000)), workers=3, timeout=60):
            time.sleep(0.01)

    process = forked(run)
    deadline = time.monotonic() + 60
    while len(list(tmp_path.iterdir())) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    while living(process.pid):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_two_writers_at_once_share_the_work(tmp_path, monkeypatch):
    """The same card at the same time: the same content as one alone, and no molecule twice."""
    monkeypatch.setattr(preparing, "_SHARD_SECONDS", 0.02)
    everyone = records(*(f"{'C' * n}{end}" for n in range(1, 16) for end in ("O", "N", "=O", "(F)F")))
    both = [forked(lambda: preparing.prepare(everyone, VIEWS, tmp_path / "both", workers=1)) for _ in range(2)]
    preparing.prepare(everyone, VIEWS, tmp_path / "one", workers=1)
    for process in both:
        process.join()
        assert process.exitcode == 0
    for view in VIEWS:
        assert content(tmp_path / "both", view, everyone) == content(tmp_path / "one", view, everyone)
        rows = [k for shard in ViewStore(tmp_path / "both", view)._shards for k in shard.ledger["key"].to_pylist()]
        assert len(rows) == len(set(rows)) == len(everyone)


@pytest.mark.slow
def test_killed_twenty_times_it_ends_with_the_same_content(tmp_path, monkeypatch):
    """kill -9 at seeded random instants, from reading the card to the last view; what is done stays done."""
    monkeypatch.setattr(preparing, "_SHARD_SECONDS", 0.02)
    smiles = [f"{'C' * n}{end}" for n in range(1, 26) for end in ("O", "N", "=O", "(F)F")]
    made(tmp_path, "s\n" + "\n".join(smiles) + "\n")
    rng = np.random.default_rng(0)

    def data(cache):
        return MoleculeData(str(tmp_path / "card.yaml"), frozenset(VIEWS), cache=str(cache), prepare_workers=2)

    whole, killed = tmp_path / "whole", tmp_path / "killed"
    data(whole).prepare_data()
    everyone = data(whole).load().records
    stores = [ViewStore(killed / "store", view) for view in [EmbeddingView(), *VIEWS]]

    def rows():
        for store in stores:
            store.refresh()
        return sum(map(len, stores))

    kept = kills = 0
    while kills < 20:
        process = forked(data(killed).prepare_data)
        wanted = kept + rng.integers(12)
        while rows() < wanted and process.is_alive():
            time.sleep(0.003)
        time.sleep(rng.random() * 0.05)
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        if process.exitcode == 0:  # it was through before it could be killed: once more from nothing
            shutil.rmtree(killed)
            kept = 0
            stores = [ViewStore(killed / "store", store.view) for store in stores]
            continue
        assert process.exitcode == -signal.SIGKILL
        kills += 1
        stores = [ViewStore(killed / "store", store.view, mend=True) for store in stores]
        assert rows() >= kept, "something was lost"
        kept = rows()
    last = data(killed)
    last.prepare_data()
    for view in VIEWS:
        assert content(killed / "store", view, everyone) == content(whole / "store", view, everyone)
    assert rows() == 5 * len(everyone)
    assert sum(len(s.ledger) for store in stores for s in store._shards) == rows()
    assert not list(killed.rglob("*.damaged"))
    last.prepare_data()
    assert [s.computed for s in last.summaries] == [0] * len(VIEWS)

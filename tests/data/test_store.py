import os
import pickle
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from molfusion.batch import Record
from molfusion.data.store import Entry, StoreError, ViewStore, ledger_table
from molfusion.views import View, ViewError


@dataclass(frozen=True)
class Length(View):
    """How long the SMILES is, twice over."""

    scale: float = 1
    tools: ClassVar = ()

    def featurise(self, record):
        return {"n": np.full((len(record.smiles), 2), self.scale, np.float32), "one": np.array([len(record.smiles)])}

    def collate(self, items):
        return items


def record(smiles):
    return Record(smiles, smiles, smiles)


def entry(view, smiles, status="ok"):
    r = record(smiles)
    features = view.featurise(r) if status == "ok" else None
    return Entry(view.key(r), r.id, smiles, status, "" if status == "ok" else "because", 0.1, features)


def test_what_goes_in_comes_out(tmp_path):
    view = Length(3)
    store = ViewStore(tmp_path, view)
    store.append([entry(view, "CC"), entry(view, "CCCC")])
    store.append([entry(view, "O")])
    for opened in (store, ViewStore(tmp_path, view)):
        for smiles in ("CC", "CCCC", "O"):
            found = opened.get(record(smiles))
            assert found["n"].shape == (len(smiles), 2)
            assert (found["n"] == 3).all()
            assert found["one"].tolist() == [len(smiles)]
    assert len(list(store.folder.glob("*.arrow"))) == 2


def test_settings_have_folders_of_their_own(tmp_path):
    ViewStore(tmp_path, Length(1)).append([entry(Length(1), "C")])
    assert record("C") not in ViewStore(tmp_path, Length(2))


def test_failures_are_remembered_with_their_reason(tmp_path):
    view = Length()
    store = ViewStore(tmp_path, view)
    store.append([entry(view, "C"), entry(view, "X", "failed")])
    store.append([entry(view, "Y", "timed_out")])  # a shard without a single success
    opened = ViewStore(tmp_path, view)
    assert record("X") in opened
    assert not opened.has(record("X"))
    assert opened.has(record("C"))
    with pytest.raises(ViewError, match="failed: because"):
        opened.get(record("X"))
    assert {(e.id, e.status) for e in opened.failures()} == {("X", "failed"), ("Y", "timed_out")}


def test_a_later_success_replaces_a_failure(tmp_path):
    view = Length()
    store = ViewStore(tmp_path, view)
    store.append([entry(view, "C", "timed_out")])
    store.append([entry(view, "C")])
    assert ViewStore(tmp_path, view).has(record("C"))


def test_never_prepared(tmp_path):
    with pytest.raises(KeyError, match="molfusion prepare"):
        ViewStore(tmp_path, Length()).get(record("C"))


def test_a_half_written_shard_is_never_seen(tmp_path):
    view = Length()
    store = ViewStore(tmp_path, view)
    store.append([entry(view, "C")])
    (store.folder / ".half.arrow.123.tmp").write_bytes(b"ARROW1")
    assert len(ViewStore(tmp_path, view)) == 1


def flip(content):
    """The same bytes but for one bit, in the middle of the arrays."""
    at = content.index(np.float32(7.5).tobytes())
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


DAMAGES = {"truncated": lambda c: c[: len(c) // 2], "empty": lambda c: b"", "flipped": flip, "garbage": lambda c: b"x" * 999}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_shard_is_set_aside_when_mending(tmp_path, damage, caplog):
    view = Length(7.5)
    store = ViewStore(tmp_path, view)
    store.append([entry(view, "C")])
    (path,) = store.folder.glob("*.arrow")
    store.append([entry(view, "CC")])
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    if damage != "flipped":  # the structure still holds, and nobody but `mend` reads it all
        with pytest.raises(StoreError, match=rf"{path.name} is damaged .*`molfusion prepare` sets it aside"):
            ViewStore(tmp_path, view)
    mended = ViewStore(tmp_path, view, mend=True)
    assert [record(s) in mended for s in ("C", "CC")] == [False, True]
    assert path.name in caplog.text
    assert "its molecules are computed again" in caplog.text
    mended.append([entry(view, "C")])
    assert (ViewStore(tmp_path, view, mend=True).get(record("C"))["n"] == 7.5).all()
    assert len(caplog.records) == 1


def test_a_view_that_prepare_cannot_fill_has_another_remedy(tmp_path):
    class Written(Length):
        prepared: ClassVar = False

    view = Written()
    ViewStore(tmp_path, view).append([entry(view, "C")])
    (path,) = (tmp_path / view.name()).glob("*.arrow")
    path.write_bytes(b"")
    with pytest.raises(StoreError, match="delete it and give the command that wrote it again"):
        ViewStore(tmp_path, view)


def test_what_came_by_a_second_way_is_there_and_told(tmp_path):
    view = Length()
    store = ViewStore(tmp_path, view)
    second = Entry(view.key(record("C")), "C", "C", "fell_back", "around", 2.5, view.featurise(record("C")))
    store.append([entry(view, "CC"), second, entry(view, "X", "failed")])
    opened = ViewStore(tmp_path, view)
    assert opened.has(record("C"))
    assert opened.get(record("C"))["one"].tolist() == [1]
    assert opened.outcome(record("C")) == ("fell_back", "around")
    assert opened.places([record(s) for s in ("C", "X")]).tolist()[1] == -1
    assert [e.id for e in opened.failures()] == ["X"]
    assert {(e.id, e.status, e.seconds) for e in opened.ledger()} == {("C", "fell_back", 2.5), ("X", "failed", np.float32(0.1))}
    (row,) = ledger_table([opened], {view.key(record("C"))})
    assert (row["id"], row["status"], row["reason"], row["seconds"]) == ("C", "fell_back", "around", 2.5)


def test_what_is_written_twice_is_kept_once(tmp_path):
    view = Length()
    first, second = ViewStore(tmp_path, view), ViewStore(tmp_path, view)
    first.append([entry(view, "C"), entry(view, "X", "timed_out")])
    second.append([entry(view, "C"), entry(view, "CC"), entry(view, "X", "failed")])  # it has not looked since
    first.append([entry(view, "CC")])
    rows = [k for s in ViewStore(tmp_path, view)._shards for k in s.ledger["key"].to_pylist()]
    assert len(rows) == len(set(rows)) == 3
    assert ViewStore(tmp_path, view).outcome(record("X")) == ("timed_out", "because")


def test_places_hold_in_another_process(tmp_path):
    """Spawned loaders get the store pickled: the shards in the same order, whatever came in between."""
    view = Length()
    store = ViewStore(tmp_path, view)
    for smiles in ("C", "CC", "CCC", "CCCC"):
        store.append([entry(view, smiles)])
    places = store.places([record(s) for s in ("CCC", "C")])
    ViewStore(tmp_path, view).append([entry(view, "CCCCC")])
    copy = pickle.loads(pickle.dumps(store))
    assert copy.gather(places)["one"].flat.tolist() == [3, 1]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs rlimits")
def test_a_full_disk_is_one_clear_line_and_loses_nothing(tmp_path):
    import resource

    view = Length()
    store = ViewStore(tmp_path, view)
    store.append([entry(view, "C")])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(StoreError, match=r"cannot be written .*: make room, .*give the same command again") as told:
            store.append([entry(view, "C" * 5000)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "\n" not in str(told.value)
    assert sorted(p.suffix for p in store.folder.iterdir() if p.name != ".lock") == [".arrow"]
    opened = ViewStore(tmp_path, view, mend=True)
    assert len(opened) == 1
    opened.append([entry(view, "C" * 5000)])
    assert opened.has(record("C" * 5000))


def test_what_a_kill_left_half_written_goes_with_the_next_shard(tmp_path):
    view = Length()
    store = ViewStore(tmp_path, view)
    store.append([entry(view, "C")])
    left = store.folder / ".half.arrow.123.tmp"
    left.write_bytes(b"ARROW1")
    store.append([entry(view, "CC")])
    assert not left.exists()


def test_two_writers_and_a_reader(tmp_path):
    view = Length()
    first, second = ViewStore(tmp_path, view), ViewStore(tmp_path, view)
    first.append([entry(view, "C"), entry(view, "CC")])
    second.append([entry(view, "CC"), entry(view, "CCC")])
    first.refresh()
    assert len(first) == len(ViewStore(tmp_path, view)) == 3

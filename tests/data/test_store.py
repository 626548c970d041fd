from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from molfusion.batch import Record
from molfusion.data.store import Entry, StoreError, ViewStore
from molfusion.views import View, ViewError


@dataclass(frozen=True)
class Length(View):
    """How long the SMILES is, twice over."""

    scale: int = 1
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


def test_a_damaged_shard_is_named(tmp_path):
    view = Length()
    store = ViewStore(tmp_path, view)
    store.append([entry(view, "C")])
    (path,) = store.folder.glob("*.arrow")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(StoreError, match=f"{path.name}.*delete it and run `molfusion prepare` again"):
        ViewStore(tmp_path, view)


def test_two_writers_and_a_reader(tmp_path):
    view = Length()
    first, second = ViewStore(tmp_path, view), ViewStore(tmp_path, view)
    first.append([entry(view, "C"), entry(view, "CC")])
    second.append([entry(view, "CC"), entry(view, "CCC")])
    first.refresh()
    assert len(first) == len(ViewStore(tmp_path, view)) == 3

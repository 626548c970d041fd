"""Of a machine's cores, those that a process may use."""

import os

import pytest

from molfusion import cores


@pytest.fixture
def cgroup(tmp_path, monkeypatch):
    """A process in group /outer/inner; call it with what their `cpu.max` say."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(cores, "_CGROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(cores, "_OWN", tmp_path / "own")
    (tmp_path / "own").write_text("1:cpu:/elsewhere\n0::/outer/inner\n")
    inner = tmp_path / "cgroup" / "outer" / "inner"
    inner.mkdir(parents=True)

    def write(**quotas):
        for folder in (inner, inner.parent, inner.parent.parent):
            if folder.name in quotas:
                (folder / "cpu.max").write_text(quotas[folder.name])

    return write


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity masks")
def test_a_mask_counts():
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert cores.usable_cores() == 1
    finally:
        os.sched_setaffinity(0, before)


@pytest.mark.parametrize(("quotas", "expected"), [
    ({}, 8),
    ({"inner": "max 100000\n"}, 8),
    ({"inner": "250000 100000\n"}, 2),  # two and a half: a third run would wait for half of its time
    ({"inner": "50000 100000\n"}, 1),
    ({"outer": "300000 100000\n", "inner": "max 100000\n"}, 3),  # a group cannot have more than the one above
    ({"cgroup": "200000 100000\n", "outer": "300000 100000\n"}, 2),  # in a container its own group is the root
    ({"inner": "9900000 100000\n"}, 8),
    ({"inner": "what is this"}, 8),
])  # fmt: skip
def test_a_quota_counts(cgroup, quotas, expected):
    cgroup(**quotas)
    assert cores.usable_cores() == expected


def test_without_cgroups_or_with_the_old_ones_the_mask_alone_counts(cgroup, tmp_path):
    cgroup(inner="100000 100000\n")
    (tmp_path / "own").write_text("1:cpu:/outer/inner\n")
    assert cores.usable_cores() == 8
    (tmp_path / "own").unlink()
    assert cores.usable_cores() == 8


def test_without_masks_those_of_the_machine_never_none(cgroup, monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    assert cores.usable_cores() == 3
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cores.usable_cores() == 1

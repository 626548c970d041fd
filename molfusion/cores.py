"""How many cores this process may use: on a cluster or in a container often fewer than the machine has."""

from __future__ import annotations

import os
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")


def usable_cores() -> int:
    """Cores of the affinity mask (taskset, cpusets, SLURM), less where a cgroup grants less time; at least 1."""
    # Where there are no masks (macOS, Windows), all that the machine has.
    masked = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    granted = _granted()
    return max(1, masked if granted is None else min(masked, int(granted)))


def _granted() -> float | None:
    """Cores' worth of time by the tightest `cpu.max` (cgroup v2) of this process's group and those above; None: no limit."""
    try:
        own = next((line[3:] for line in _OWN.read_text().splitlines() if line.startswith("0::")), None)
    except OSError:  # not Linux
        return None
    if own is None:  # cgroup v1 alone
        return None
    home = _CGROUPS / own.lstrip("/")
    found = [_quota(folder / "cpu.max") for folder in (home, *home.parents) if folder.is_relative_to(_CGROUPS)]
    return min((quota for quota in found if quota is not None), default=None)


def _quota(path: Path) -> float | None:
    """Of "150000 100000" (µs of time in each period) 1.5; None where it says "max", or nothing that can be read."""
    try:
        time, period = (int(word) for word in path.read_text().split())
        return time / period
    except (OSError, ValueError, ZeroDivisionError):
        return None

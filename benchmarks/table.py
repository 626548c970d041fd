"""What a benchmark returns, how it is timed, and how all of them are printed as one table."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from molfusion.cores import usable_cores

_PACKAGES = ("molfusion", "torch", "rdkit", "numpy", "scipy", "pyarrow", "pillow", "e3fp", "mmh3", "selfies")


@dataclass(frozen=True)
class Row:
    """One thing that was measured: ours and, where a ratio is claimed, the other side in the same run."""

    step: str
    ours: Sequence[float]  # a number a molecule (or batch, or repeat); the table shows median and 95th percentile
    plain: Sequence[float] = ()  # the same of the usual way of doing it, in the same order
    unit: str = "ms"
    more_is_better: bool = False  # of speeds (molecules/s): which way the ratio goes


@dataclass(frozen=True)
class Table:
    """What one module of `benchmarks/` measured."""

    about: str  # on what: how many molecules, their sizes, where they are from, the settings that matter
    rows: list[Row] = field(default_factory=list)
    notes: str = ""  # what `plain` is, and what to know before quoting a number


_SPAN = 1.0  # ms that one look at the clock covers; asking for the CPU time costs a few µs by itself


def timed(function: Callable[[], Any], repeats: int = 3) -> tuple[float, Any]:
    """Least CPU time of the process in ms, and what the function returned; a quick function is called several times a look."""
    least, result, calls = float("inf"), None, 1
    for _ in range(repeats):
        start = time.process_time()
        for _ in range(calls):
            result = function()
        spent = (time.process_time() - start) * 1e3 / calls
        least = min(least, spent)
        calls = max(1, round(_SPAN / max(spent, 1e-3)))
    return least, result


HEAD = f"{'step':44} {'ours':>10} {'p95':>10} {'plain':>10} {'p95':>10} {'ratio of medians':>17} {'of sums':>9}  unit"


def lines(name: str, table: Table) -> Iterable[str]:
    """One module's part of the printed table."""
    yield f"-- {name}: {table.about}"
    yield from (_line(row) for row in table.rows)
    if table.notes:
        yield f"   {table.notes}"


def _line(row: Row) -> str:
    cells = [*_middle(row.ours), *_middle(row.plain)]
    ratios = ["", ""]
    if len(row.plain) and len(row.ours):
        ours, plain = np.asarray(row.ours, float), np.asarray(row.plain, float)
        up, down = (ours, plain) if row.more_is_better else (plain, ours)
        ratios = [f"{np.median(up) / np.median(down):.1f}x", f"{up.sum() / down.sum():.1f}x"]
    text = f"{row.step:44} " + " ".join(f"{c:>10}" for c in cells)
    return f"{text} {ratios[0]:>17} {ratios[1]:>9}  {row.unit}"


def _middle(values: Sequence[float]) -> tuple[str, str]:
    if not len(values):
        return "", ""
    shown = [_short(float(v)) for v in np.percentile(values, [50, 95])]
    return shown[0], shown[1] if len(values) > 1 else ""


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def machine() -> str:
    """Cores, processor, bf16, threads and versions: what a number means nothing without."""
    threads = os.environ.get("OMP_NUM_THREADS", "as many as it likes (set it to 1)")
    known = ", ".join(f"{name} {found}" for name in _PACKAGES if (found := _version(name)))
    return (
        f"{usable_cores()} cores, {_processor()} ({platform.machine()}), bf16 on the CPU: {_bf16()}{_gpu()}\n"
        f"OMP_NUM_THREADS {threads}; Python {platform.python_version()}; {known}"
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _cpuinfo(key: str) -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.is_file() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "")


def _processor() -> str:
    return _cpuinfo("model name") or platform.processor() or "unknown processor"


def _bf16() -> str:
    """Whether the processor multiplies bfloat16 itself; without, torch emulates it more slowly than float32."""
    flags = _cpuinfo("flags").split() or _cpuinfo("Features").split()
    if not flags:
        return "unknown"
    return ", ".join(f for f in ("amx_bf16", "avx512_bf16", "bf16") if f in flags) or "no"


def _gpu() -> str:
    import torch

    if not torch.cuda.is_available():
        return "; no GPU"
    return f"; {torch.cuda.get_device_name()}, bf16: {'yes' if torch.cuda.is_bf16_supported() else 'no'}"

"""Where a number came from: versions, sources, machine."""

from __future__ import annotations

import hashlib
import platform
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from molfusion.cores import usable_cores

_PACKAGES = ("torch", "lightning", "transformers", "torch-geometric", "rdkit", "numpy")


@cache
def source_digest() -> str:
    """Of the package's own code: rows made by other code are shown as stale."""
    folder = Path(__file__).parent
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def provenance(device: str) -> dict[str, Any]:
    """For metrics.json."""
    return {
        "molfusion": version("molfusion"),
        "source_digest": source_digest(),
        "versions": {name: version(name) for name in _PACKAGES},
        "python": platform.python_version(),
        "device": device,
        "processor": _processor(),
        "cores": usable_cores(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((x.partition(":")[2].strip() for x in lines if x.startswith("model name")), platform.machine())

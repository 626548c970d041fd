"""Whether a language model fits, before it is read."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from torch import nn

from molfusion.language.errors import LanguageError

_ADAM = 12  # bytes of a parameter that trains: its gradient and two moments in float32


def needed(model: nn.Module, dtype: torch.dtype) -> int:
    """Bytes of the weights and of what training keeps beside them; activations come on top."""
    size = torch.empty((), dtype=dtype).element_size()
    return sum(p.numel() * (size + _ADAM * p.requires_grad) for p in model.parameters())


def available(device: torch.device) -> int | None:
    """Bytes that are free there; None if the system does not say."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    limits = [_cgroup(), _meminfo()]
    return min((n for n in limits if n is not None), default=None)


def check_fits(name: str, model: nn.Module, dtype: torch.dtype, device: torch.device) -> None:
    """Raise where the model would not fit.

    Raises:
        LanguageError: it needs more than is free.
    """
    need, free = needed(model, dtype), available(device)
    if free is not None and need > free:
        where = "on the GPU" if device.type == "cuda" else "in memory"
        raise LanguageError(
            f"{name} does not fit: its {sum(p.numel() for p in model.parameters()):,} parameters need about "
            f"{need / 2**30:.1f} GiB in {str(dtype).removeprefix('torch.')} with what training keeps, and {free / 2**30:.1f} "
            f"GiB are free {where}; set lm.dtype to bfloat16, lm.train to lora or none, or take a smaller model"
        )


def _meminfo() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    found = {key: value for key, _, value in (line.partition(":") for line in lines)}
    return int(found["MemAvailable"].split()[0]) * 1024 if "MemAvailable" in found else None


def _cgroup() -> int | None:
    """What a container's limit leaves; caches count as free."""
    folder = Path(os.environ.get("MOLFUSION_CGROUP", "/sys/fs/cgroup"))
    try:
        limit = (folder / "memory.max").read_text().strip()
        used = int((folder / "memory.current").read_text())
        stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):
        return None
    return None if limit == "max" else int(limit) - used + int(stat.get("inactive_file", 0))

"""Golden cases: numbers recorded from the official modules. One folder a case, under <root>/<system>/<case>."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

ROOT = Path(os.environ.get("MOLFUSION_GOLDEN") or Path(__file__).parent.parent / "golden")

# Components that no code handles yet. Later work empties this list; a case of theirs is skipped, any other must pass.
NOT_BUILT: dict[str, list[str]] = {}

HANDLERS: dict[tuple[str, str], Callable] = {}


def component(system: str, name: str):
    """Register the check of every case whose folder's name begins with `name`."""

    def register(function: Callable) -> Callable:
        HANDLERS[system, name] = function
        return function

    return register


@dataclass
class Case:
    folder: Path

    def __post_init__(self):
        self.system, self.name = self.folder.parent.name, self.folder.name
        self.config = json.loads((self.folder / "config.json").read_text())

    def arrays(self, name: str) -> dict[str, torch.Tensor]:
        """An .npz as tensors; text arrays stay arrays."""
        with np.load(self.folder / f"{name}.npz") as data:
            return {k: torch.from_numpy(v) if v.dtype.kind != "U" else v for k, v in data.items()}

    def weights(self, name: str = "weights") -> dict[str, torch.Tensor]:
        path = self.folder / f"{name}.safetensors"
        return load_file(path) if path.is_file() else self.arrays(name)  # .npz: tables whose unread rows are 0


def owner(system: str, case: str) -> str | None:
    """The component with the longest name that the case's begins with."""
    known = [name for s, name in HANDLERS if s == system] + NOT_BUILT.get(system, [])
    return max((name for name in known if case.startswith(name)), key=len, default=None)


def close(found, expected, what: str, tolerance: float = 2e-5) -> None:
    """Largest difference relative to 1 + the largest expected value; integers and booleans exactly."""
    found, expected = torch.as_tensor(found).detach(), torch.as_tensor(expected)
    assert found.shape == expected.shape, f"{what}: shape {list(found.shape)}, expected {list(expected.shape)}"
    if not expected.is_floating_point():
        assert torch.equal(found.to(expected.dtype), expected), f"{what}: integers differ"
        return
    found, expected = found.double(), expected.double()
    error = ((found - expected).abs().max() / (1 + expected.abs().max())).item() if expected.numel() else 0.0
    assert error <= tolerance, f"{what}: relative error {error:.2e} > {tolerance:.0e}"

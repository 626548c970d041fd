"""Small sweeps, through the command that a user gives."""

import contextlib
import io
import json
from pathlib import Path

import yaml

from molfusion.cli import main
from tests.tasks.helpers import FINGERPRINT, TEXT

OPTIMIZER = {"class_path": "torch.optim.AdamW", "init_args": {"lr": 3e-3}}
RETRIEVAL = {
    "class_path": "molfusion.tasks.Retrieval",
    "init_args": {"encoder": FINGERPRINT, "text": TEXT, "width": 16, "optimizer": OPTIMIZER},
}
PROPERTY = {
    "class_path": "molfusion.tasks.Property",
    "init_args": {"encoder": FINGERPRINT, "head": "linear", "optimizer": OPTIMIZER},
}
FILLED = {"model.encoder": "{needs}/encoder.yaml"}
TRAINER = {"accelerator": "cpu", "devices": 1, "max_epochs": 1, "log_every_n_steps": 1}


def write(folder: Path, card, tables, **top) -> Path:
    """A sweep file on a card; `top` are further keys of it."""
    given = {"trainer": TRAINER, "data": {"card": str(card), "batch_size": 8}}
    path = folder / "sweep.yaml"
    path.write_text(yaml.safe_dump({"seeds": [0], "set": given, "tables": tables, **top}, sort_keys=False))
    return path


def sweep(file: Path, out: Path, *words: str) -> int:
    """Its exit code."""
    return main(["sweep", str(file), "--out", str(out), "-j", "1", *words])


def finished(out: Path) -> dict[str, int]:
    """When each run (and baseline) ended: what runs again ends anew."""
    return {str(p.relative_to(out)): p.stat().st_mtime_ns for p in sorted(out.rglob("metrics.json"))}


def ran(file, out, *words):
    """Exit code, what it printed, and plan.json by key."""
    told = io.StringIO()
    with contextlib.redirect_stdout(told):
        code = sweep(file, out, *words)
    cells = json.loads((out / "plan.json").read_text())["cells"]
    return code, told.getvalue(), {c["key"]: c for c in cells}

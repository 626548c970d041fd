"""The share of what is computed that is padding: counted over an epoch's batches, and as a real short training logs it.

    python -m benchmarks padding
    python -m benchmarks.padding --card realtext --root FOLDER     # any card with texts

Counted: every batch of an epoch under one order or another. Logged: one epoch of contrastive training, by `log.csv`, whose
number is the mean over its steps; both are shares of padding among text tokens and among pairs of atoms.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import sys
import tempfile
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import nn

from benchmarks.table import HEAD, Row, Table, lines, machine
from molfusion.batch import MoleculeBatch, Tokens
from molfusion.config import compose
from molfusion.data.datamodule import MoleculeData
from molfusion.encoders import Encoder
from molfusion.runner import Run
from molfusion.views import RelationsView, TextView

Alike = Literal["none", "atoms", "text", "both"]
BATCH = 32
LENGTH = 128  # most tokens of a text
ATOMS = 128  # larger molecules are left out


class Atoms(Encoder):
    """An atom is its element: all that is needed to have batches of pairs made and looked at."""

    def __init__(self, dim: int = 16) -> None:
        super().__init__()
        self.dim, self.view = dim, RelationsView(max_atoms=ATOMS)
        self.views = frozenset({self.view})
        self.element = nn.Embedding(128, dim)

    def forward(self, batch: MoleculeBatch) -> Tokens:
        relations = batch[self.view]
        return Tokens(self.element(relations.atoms[..., 0].long()), relations.mask)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--card", default="demo")
    parser.add_argument("--root", help="the folder its files are in, if they do not ship")
    args = parser.parse_args()
    torch.set_num_threads(1)
    print("\n".join([machine(), "", HEAD, *lines("padding", measure(args.card, args.root))]))


def table(quick: bool) -> Table:
    return measure("demo", None, quick)


def measure(card: str, root: str | None, quick: bool = False) -> Table:
    rows = []
    ways: tuple[Alike, ...] = ("none", "atoms", "text", "both")
    for alike in ways:
        text, pairs, records = counted(card, root, alike)
        logged = trained(card, root, alike, 20 if quick else -1) if not quick or alike == "text" else {}
        for what, shares, name in (("text", text, "TextView"), ("atom pairs", pairs, "RelationsView")):
            rows.append(Row(f"{what}, alike: {alike}, counted", [100 * float(np.mean(shares))], unit="%"))
            if name in logged:
                rows.append(Row(f"{what}, alike: {alike}, logged", [100 * logged[name]], unit="%"))
    about = f"{records} training molecules of {card}, at most {ATOMS} atoms; batches of {BATCH}, at most {LENGTH} tokens of text"
    return Table(about, rows, "alike: none is random; counted: mean over one epoch's batches; logged: log.csv after one epoch.")


def counted(card: str, root: str | None, alike: Alike) -> tuple[list[float], list[float], int]:
    views = frozenset({RelationsView(max_atoms=ATOMS), TextView(length=LENGTH)})
    data = MoleculeData(card, views, BATCH, root=root, alike=alike)
    data.prepare_data()
    data.setup()
    loader = data.train_dataloader()
    shares = [batch.padding() for batch in loader]
    return [s["TextView"] for s in shares], [s["RelationsView"] for s in shares], len(data.records["train"])


def trained(card: str, root: str | None, alike: Alike, steps: int) -> dict[str, float]:
    encoder = {"class_path": "benchmarks.padding.Atoms", "init_args": {}}
    text = {"class_path": "molfusion.encoders.TextEncoder", "init_args": {"dim": 16, "layers": 1, "heads": 2, "length": LENGTH}}
    config = compose(["experiments/base.yaml", "experiments/tasks/retrieval.yaml"], [
        ("data", {"card": card, "root": root, "batch_size": BATCH, "alike": alike}),
        ("model.encoder", encoder), ("model.text", text),
        ("trainer", {"max_epochs": 1, "max_steps": steps, "accelerator": "cpu", "log_every_n_steps": 1}),
        ("trainer", {"limit_val_batches": 1, "limit_test_batches": 1}),
    ])  # fmt: skip
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
        Run(config, Path(folder), allowed=["benchmarks"]).fit()
        with (Path(folder) / "log.csv").open() as file:
            named = [(row["name"].rpartition("/"), float(row["value"])) for row in csv.DictReader(file)]
    return {name: value for (where, _, name), value in named if where == "train/padding"}  # the last one counts


if __name__ == "__main__":
    main()

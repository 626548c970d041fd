"""QM9 (Ramakrishnan et al. 2014) out of the PyPI package `qm9pack`: 130,831 molecules with B3LYP geometry.

The package's own loader does not import on current Python; its CSV files are read directly. An .npz holds a part of them.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
from rdkit import Chem

from molfusion.data.card import Card
from molfusion.data.files import CardError

_TABLE = Chem.GetPeriodicTable()


def qm9pack(path: Path, card: Card) -> Iterator[dict[str, Any]]:
    """Rows of one of the package's CSV files; atoms as the file has them, heavy ones first."""
    targets = [t.column for t in card.targets]
    texts = {"SMILES": pa.string(), "Elements": pa.string(), "XYZ_Ang": pa.string()}
    data = pa.csv.read_csv(
        path,
        read_options=pa.csv.ReadOptions(block_size=1 << 24),
        parse_options=pa.csv.ParseOptions(quote_char='"'),
        convert_options=pa.csv.ConvertOptions(column_types=texts, include_columns=["Index", *texts, *targets]),
    )
    for row in data.to_pylist():
        yield {
            "id": f"qm9-{row['Index']}",
            "smiles": row["SMILES"],
            "numbers": [_TABLE.GetAtomicNumber(e) for e in ast.literal_eval(row["Elements"])],
            "positions": _numbers(row["XYZ_Ang"]),
            "targets": [row[t] for t in targets],
        }


def _numbers(text: str) -> list[float]:
    """The numbers of a nested list as Mathematica wrote it (`0.`, `1.2*^-6`), flat."""
    return [float(x) for x in text.replace("[", "").replace("]", "").replace("*^", "e").split(",")]


def qm9npz(path: Path, card: Card) -> Iterator[dict[str, Any]]:
    """Rows of an .npz of some of its molecules: `smiles`, `n_atoms`, and for all atoms one after the other `z` and
    `pos_1e4A` (Å × 10⁴, whole numbers); `y` has the targets in the order of `y_names`. Rows are numbered: what such a
    file calls `index` counts within each of the package's three CSV files.

    Raises:
        CardError: an array or a target is not in the file.
    """
    with np.load(path, allow_pickle=False) as data:
        if lacking := [k for k in ("smiles", "n_atoms", "z", "pos_1e4A", "y", "y_names") if k not in data]:
            raise CardError(f"card {card.name}: {path} has no array {lacking[0]!r}; it has: {', '.join(data)}")
        arrays = {k: data[k] for k in data}
    known = arrays["y_names"].tolist()
    if unknown := [t.column for t in card.targets if t.column not in known]:
        raise CardError(f"card {card.name}: {path} has no target {unknown[0]!r}; it has: {', '.join(known)}")
    columns = [known.index(t.column) for t in card.targets]
    ends = np.cumsum(arrays["n_atoms"], dtype=np.int64)
    numbers = np.split(arrays["z"], ends[:-1])
    positions = np.split(arrays["pos_1e4A"] / 1e4, ends[:-1])
    for i, smiles in enumerate(arrays["smiles"].tolist()):
        yield {
            "smiles": smiles,
            "numbers": numbers[i].tolist(),
            "positions": positions[i].ravel().tolist(),
            "targets": arrays["y"][i, columns].tolist(),
        }

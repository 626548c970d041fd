"""QM9 (Ramakrishnan et al. 2014) out of the PyPI package `qm9pack`: 130,831 molecules with B3LYP geometry.

The package's own loader does not import on current Python; its CSV files are read directly.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
from rdkit import Chem

from molfusion.data.card import Card

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

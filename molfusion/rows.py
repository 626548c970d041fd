"""A list of rows as a file that other tools read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from molfusion.errors import MolfusionError
from molfusion.paths import atomic

ENDINGS = (".csv", ".parquet")


def check_ending(path: Path, endings: Sequence[str] = ENDINGS) -> Path:
    """The path, if its name says how it is to be written.

    Raises:
        MolfusionError: another ending.
    """
    if path.suffix not in endings:
        raise MolfusionError(f"{path}: expected a name that ends in {' or '.join(endings)}")
    return path


def write_rows(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Rows as `.parquet` or `.csv` (lists as JSON), whole or not at all; a column is there if any row has it.

    Raises:
        MolfusionError: another ending.
    """
    check_ending(path)
    columns = list(dict.fromkeys(name for row in rows for name in row))
    table = {name: [row.get(name) for row in rows] for name in columns}
    if path.suffix == ".csv":
        flat = {k: [json.dumps(v) if isinstance(v, list) else v for v in values] for k, values in table.items()}
        with atomic(path) as temporary:
            pyarrow.csv.write_csv(pa.table(flat), temporary)
    else:
        with atomic(path) as temporary:
            pq.write_table(pa.table(table), temporary, compression="zstd")

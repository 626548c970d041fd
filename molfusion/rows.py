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


def write_rows(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Rows as `.parquet` or `.csv` (lists as JSON), whole or not at all; a column is there if any row has it.

    Raises:
        MolfusionError: another ending.
    """
    columns = list(dict.fromkeys(name for row in rows for name in row))
    table = {name: [row.get(name) for row in rows] for name in columns}
    if path.suffix == ".csv":
        flat = {k: [json.dumps(v) if isinstance(v, list) else v for v in values] for k, values in table.items()}
        with atomic(path) as temporary:
            pyarrow.csv.write_csv(pa.table(flat), temporary)
    elif path.suffix == ".parquet":
        with atomic(path) as temporary:
            pq.write_table(pa.table(table), temporary, compression="zstd")
    else:
        raise MolfusionError(f"{path}: expected a name that ends in .csv or .parquet")

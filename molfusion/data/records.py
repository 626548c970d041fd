"""From a card to its records: read, checked, split, and kept as one table so that the next start is quick."""

from __future__ import annotations

import functools
import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import rdkit
from rdkit import Chem

from molfusion.batch import Fact, Geometry, Record
from molfusion.chem.identity import inchikey
from molfusion.chem.parse import ChemError, canonical, parse, unescape
from molfusion.data.card import Card, CardError
from molfusion.data.readers import Row, read
from molfusion.data.shards import written
from molfusion.data.splits import assign

_LAYOUT = 4  # raise it when this file reads or writes otherwise

_SCHEMA = pa.schema(
    {
        **{f: pa.string() for f in ("id", "smiles", "canonical", "group", "text", "prompt", "task", "split")},
        "targets": pa.list_(pa.float64()),
        "numbers": pa.list_(pa.uint8()),
        "positions": pa.list_(pa.float32()),
        "facts": pa.list_(pa.struct({"tag": pa.string(), "kind": pa.string(), "text": pa.string()})),
        "pools": pa.list_(pa.struct({"kind": pa.string(), "name": pa.string()})),
    }
)


@dataclass(frozen=True)
class Dropped:
    """A row that did not become a record, and why."""

    id: str
    smiles: str
    reason: str


@dataclass(frozen=True)
class Records:
    """All records of a card in file order, and the rows that were left out."""

    records: list[Record]
    dropped: list[Dropped]


def load_records(card: Card, cache: Path) -> Records:
    """The card's records, from `cache` where its files were read before.

    Raises:
        CardError: a file is missing, empty, of another checksum, lacks a column, or repeats an id.
        StoreError: `cache` cannot be written.
    """
    for name in card.files.keys() - set(card.present()):
        _warn(f"card {card.name}: its optional file {name!r} is not here: the card is what the others hold")
    kept, ledger, order = _files(card, cache)
    if kept.is_file() and ledger.is_file() and order.is_file():
        try:
            return _read_before(kept, ledger, kept.stat().st_mtime_ns)
        except (ValueError, OSError) as error:
            _warn(f"{kept.with_suffix('')}: damaged ({error}): card {card.name} is read again")
    made, rows = _read_all(card)
    _keep(pa.table({"id": list(rows), "row": list(rows.values())}), order)
    _keep(pa.Table.from_pylist([vars(d) for d in made.dropped], schema=_DROPPED), ledger)
    table = to_table(made.records)
    _keep(table, kept)
    return Records(from_table(table), made.dropped)


def load_rows(card: Card, cache: Path) -> dict[str, int]:
    """Of every id, also of rows that were left out, the number of its row in its file, from 1: in the order of the files.

    Raises:
        CardError: as `load_records`.
    """
    load_records(card, cache)
    order = _files(card, cache)[2]
    try:
        rows = _load(order)
    except (ValueError, OSError) as error:
        _warn(f"{order}: damaged ({error}): card {card.name} is read again")
        order.unlink()
        load_records(card, cache)
        rows = _load(order)
    return dict(zip(rows["id"].to_pylist(), rows["row"].to_pylist(), strict=True))


def _files(card: Card, cache: Path) -> tuple[Path, Path, Path]:
    """Where a card's records, what was left out and the order of both are kept."""
    key = hashlib.sha256(f"{_LAYOUT}|{rdkit.__version__}|{card.digest()}".encode()).hexdigest()[:20]
    stem = cache / "records" / key
    return stem.with_suffix(".parquet"), stem.with_suffix(".dropped.parquet"), stem.with_suffix(".rows.parquet")


@functools.lru_cache(maxsize=2)
def _read_before(table: Path, ledger: Path, written: int) -> Records:
    """Once a process, and in a sweep once for all that are forked from it; `written` tells a new file from an old one."""
    return Records(from_table(_load(table)), [Dropped(**row) for row in _load(ledger).to_pylist()])


def _keep(table: pa.Table, path: Path) -> None:
    with written(path) as temporary:
        pq.write_table(table, temporary, write_page_checksum=True)


def _load(path: Path) -> pa.Table:
    return pq.read_table(path, page_checksum_verification=True)


@functools.cache
def _warn(message: str) -> None:
    """Once a process, however often the card is read."""
    logging.getLogger(__name__).warning(message)


_DROPPED = pa.schema({"id": pa.string(), "smiles": pa.string(), "reason": pa.string()})


def _read_all(card: Card) -> tuple[Records, dict[str, int]]:
    """With the number of each row in its file."""
    records: list[Record] = []
    dropped: list[Dropped] = []
    ids: dict[str, int] = {}
    molecules: set[tuple[str, bytes]] = set()
    scales = [t.scale for t in card.targets]
    for split in card.present():
        rows = 0
        for path, place, row in ((p, n, row) for p in card.paths_of(split) for n, row in enumerate(read(p, card), 1)):
            rows += 1
            smiles = unescape(str(row.get("smiles") or ""))
            name = str(row.get("id") or f"{split}-{rows}")
            if name in ids:
                raise CardError(
                    f"card {card.name}: {path} row {rows}: id {name!r} came before; "
                    "ids must be unique (leave columns.id out to number the rows)"
                )
            ids[name] = place
            try:
                if row.get("error"):
                    raise ValueError(row["error"])
                record = _record(row, name, smiles, split, scales)
                _filter(record, card, molecules)
            except (ChemError, ValueError) as error:
                dropped.append(Dropped(name, smiles, str(error)))
            else:
                records.append(record)
        expected = card.files[split].rows
        if expected is not None and rows != expected:
            raise CardError(f"card {card.name}: file {split!r} has {rows} rows, the card says {expected}")
    if not records:
        first = f"; the first: {dropped[0].reason}" if dropped else ""
        raise CardError(f"card {card.name}: none of {len(dropped)} rows is a molecule{first}")
    return Records(assign(records, card), dropped), ids


def _record(row: Row, name: str, smiles: str, split: str, scales: Sequence[float]) -> Record:
    mol = parse(smiles)
    facts = tuple(Fact(**f) for f in row.get("facts") or ())
    targets = row.get("targets") or ()
    return Record(
        id=name,
        smiles=smiles,
        canonical=canonical(mol),
        geometry=_geometry(row, mol),
        group=str(row.get("group") or name),
        text=str(row.get("text") or " ".join(f.text for f in facts)).strip(),
        prompt=str(row.get("prompt") or "").strip(),
        task=str(row.get("task") or ""),
        targets=tuple(value * scale for value, scale in zip(targets, scales if targets else (), strict=True)),
        split=str(row.get("split") or split),
        facts=facts,
        pools=tuple((p["kind"], p["name"]) for p in row.get("pools") or ()),
    )


_STRETCH = 1.4  # a bond longer than this times the sum of the covalent radii joins atoms that are not bonded


def _geometry(row: Row, mol: Chem.Mol) -> Geometry | None:
    if not row.get("numbers"):
        return None
    numbers = np.asarray(row["numbers"], dtype=np.uint8)
    positions = np.asarray(row["positions"], dtype=np.float32).reshape(-1, 3)
    if len(numbers) != len(positions):
        raise ValueError(f"{len(numbers)} elements but {len(positions)} coordinates")
    if not np.array_equal(numbers[: mol.GetNumAtoms()], [a.GetAtomicNum() for a in mol.GetAtoms()]):
        raise ValueError("the geometry's atoms are not those of the SMILES, in its order")
    radius = Chem.GetPeriodicTable().GetRcovalent
    for bond in mol.GetBonds():
        i, j = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        length = float(np.linalg.norm(positions[i] - positions[j]))
        if length > _STRETCH * (radius(int(numbers[i])) + radius(int(numbers[j]))):
            raise ValueError(f"atoms {i} and {j} are bonded but {length:.2f} Å apart: another atom order?")
    return Geometry(numbers, positions)


def _filter(record: Record, card: Card, molecules: set[tuple[str, bytes]]) -> None:
    heavy = sum(a.GetAtomicNum() > 1 for a in parse(record.smiles).GetAtoms())
    if card.drop.max_heavy_atoms and heavy > card.drop.max_heavy_atoms:
        raise ValueError(f"{heavy} heavy atoms, the card keeps at most {card.drop.max_heavy_atoms}")
    if card.drop.duplicates == "inchikey":
        key = (inchikey(parse(record.smiles)), record.geometry.digest_bytes() if record.geometry else b"")
        if key in molecules:
            raise ValueError(f"duplicate of an earlier molecule ({key[0]})")
        molecules.add(key)


def to_table(records: Sequence[Record]) -> pa.Table:
    """One row a record; every field but `scope` and `pool`, which belong to an evaluation."""

    def row(r: Record) -> dict[str, Any]:
        return {
            **{f: getattr(r, f) for f in ("id", "smiles", "canonical", "group", "text", "prompt", "task", "split", "targets")},
            "numbers": r.geometry.numbers.tolist() if r.geometry else None,
            "positions": r.geometry.positions.ravel().tolist() if r.geometry else None,
            "facts": [f._asdict() for f in r.facts],
            "pools": [{"kind": kind, "name": name} for kind, name in r.pools],
        }

    return pa.Table.from_pylist([row(r) for r in records], schema=_SCHEMA)


def from_table(table: pa.Table) -> list[Record]:
    """The inverse of `to_table`."""
    plain = table.drop_columns(["numbers", "positions", "facts", "pools"]).to_pylist()
    numbers, positions = _ragged(table["numbers"]), _ragged(table["positions"])
    facts, pools = table["facts"].to_pylist(), table["pools"].to_pylist()
    return [
        Record(
            **{**row, "targets": tuple(row["targets"])},
            geometry=Geometry(n, p.reshape(-1, 3)) if len(n) else None,
            facts=tuple(Fact(**f) for f in fs),
            pools=tuple((q["kind"], q["name"]) for q in qs),
        )
        for row, n, p, fs, qs in zip(plain, numbers, positions, facts, pools, strict=True)
    ]


def _ragged(column: pa.ChunkedArray) -> list[np.ndarray[Any, Any]]:
    """The rows of a list column as arrays; an absent one is empty."""
    joined = column.combine_chunks()
    lengths = joined.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
    return np.split(joined.flatten().to_numpy(zero_copy_only=False), np.cumsum(lengths)[:-1])

"""CPU time of the views, beside the usual way of computing the same, on the molecules of the demo set.

    python benchmarks/views.py                                 # 200 molecules that ship with molfusion
    python benchmarks/views.py --table FILE.tsv.gz             # any table with a column `smiles`

Both sides are measured molecule by molecule in turn, best of `--repeats`, and their results compared: another number is
an error. Set OMP_NUM_THREADS=1. Coordinates are the table's where it has them, else embedded (not timed).
"""

from __future__ import annotations

import argparse
import csv
import gzip
import logging
import platform
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import plain
import pyarrow.parquet as pq
from PIL import Image

import molfusion
from molfusion.batch import Geometry, Record
from molfusion.chem import e3fp, e3fp_package
from molfusion.chem.conformer import embed
from molfusion.chem.graph import graph
from molfusion.chem.image import draw
from molfusion.chem.parse import ChemError, canonical, parse
from molfusion.chem.relations import FAR, HOPS, bond_codes, paths
from molfusion.views import E3FPView, ImageView, RelationsView, SelfiesView

Times = dict[str, list[float]]
BATCH = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, help="a .tsv(.gz) or .csv(.gz) with a column `smiles`")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--max-atoms", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    logging.disable(logging.WARNING)  # e3fp's
    records = read(args.table, args.count, args.max_atoms)
    sizes = [parse(r.smiles).GetNumAtoms() for r in records]
    print(f"{platform.machine()} {processor()}; Python {platform.python_version()}; "
          + ", ".join(f"{p} {version(p)}" for p in ("rdkit", "numpy", "scipy", "mmh3", "e3fp", "selfies", "pillow")))  # fmt: skip
    print(f"{len(records)} molecules of {args.table or 'the demo set'}, {min(sizes)} to {max(sizes)} atoms, "
          f"median {int(np.median(sizes))}; CPU ms a molecule, best of {args.repeats}\n")  # fmt: skip
    print(f"{'step':34} {'ours':>8} {'p95':>8} {'plain':>9} {'p95':>9} {'ratio of medians':>17} {'of sums':>8}")
    measure_paths(records, args.repeats)
    measure_e3fp(records, args.repeats)
    measure_image(records[:60], args.repeats)
    for name, view in (
        ("view relations", RelationsView()), ("view e3fp", E3FPView()), ("view selfies", SelfiesView(unknown="unk", length=2000)),
        ("view image", ImageView()),
    ):  # fmt: skip
        alone(name, [timed(lambda r=r, v=view: v.featurise(r), args.repeats)[0] for r in records[:60]])


def measure_paths(records: Sequence[Record], repeats: int) -> None:
    times: Times = {"ours": [], "plain": []}
    for record in records:
        g = graph(parse(record.smiles))
        if not len(g.edges):
            continue
        mine, found = timed(lambda g=g: paths(g), repeats)
        theirs, (distance, whole) = timed(lambda g=g: plain.paths(len(g.atoms), g.edges, g.bonds), repeats)
        hops = np.zeros((*distance.shape, HOPS), np.uint8)
        first = whole[:, :, :HOPS]
        present = first[..., 0] >= 0
        hops[:, :, : first.shape[2]][present] = bond_codes(first[present].astype(np.uint8))
        assert np.array_equal(hops, found.hops), f"other paths: {record.smiles}"
        assert np.array_equal(np.where(distance == FAR, 0, distance), found.distances), f"other distances: {record.smiles}"
        times["ours"].append(mine)
        times["plain"].append(theirs)
    beside("shortest paths, five bonds", times)


def measure_e3fp(records: Sequence[Record], repeats: int) -> None:
    settings = e3fp.Settings()
    usable = []
    single: Times = {"ours": [], "plain": []}
    for record in records:
        mol, geometry = parse(record.smiles), record.geometry
        x = geometry.positions[: mol.GetNumAtoms()].astype(np.float64)
        try:
            mine, (found,) = timed(lambda m=mol, x=x: e3fp.shells([m], [x], settings), repeats)
        except ChemError:
            continue  # a bond or an atom that E3FP does not know
        theirs, expected = timed(lambda m=mol, x=x: e3fp_package.shells(m, x, settings), repeats)
        assert np.array_equal(found.identifiers, expected.identifiers), f"other identifiers: {record.smiles}"
        usable.append((mol, x, expected.identifiers, theirs))
        single["ours"].append(mine)
        single["plain"].append(theirs)
    beside("E3FP, one molecule a call", single)
    usable.sort(key=lambda u: len(u[1]))
    batched: Times = {"ours": [], "plain": []}
    for start in range(0, len(usable), BATCH):
        mols, xs, expected, theirs = zip(*usable[start : start + BATCH], strict=True)
        mine, found = timed(lambda m=mols, x=xs: e3fp.shells(m, x, settings), repeats)
        assert all(np.array_equal(f.identifiers, e) for f, e in zip(found, expected, strict=True))
        batched["ours"] += [mine / len(mols)] * len(mols)
        batched["plain"] += theirs
    beside(f"E3FP, batches of {BATCH} by size", batched)


def measure_image(records: Sequence[Record], repeats: int) -> None:
    times: Times = {"ours": [], "plain": []}
    items = []
    for record in records:
        mol = parse(record.smiles)
        mine, png = timed(lambda m=mol: draw(m, 1024, 1024), repeats)
        theirs, other = timed(lambda m=mol: plain.draw(m, 1024, 1024), repeats)
        assert np.array_equal(*(np.array(Image.open(BytesIO(b)).convert("RGB")) for b in (png, other))), record.smiles
        times["ours"].append(mine)
        times["plain"].append(theirs)
        items.append({"png": np.frombuffer(png, np.uint8)})
    beside("image 1024²: draw and encode", times)
    view, size = ImageView(), 8
    batches = [items[i : i + size] for i in range(0, len(items), size)]
    alone(f"image 1024²: decode, batches of {size}", [timed(lambda b=b: view.collate(b), repeats)[0] / len(b) for b in batches])


def timed(function: Callable[[], Any], repeats: int) -> tuple[float, Any]:
    """Least CPU time in ms, and what it returned."""
    least, result = float("inf"), None
    for _ in range(repeats):
        start = time.process_time()
        result = function()
        least = min(least, (time.process_time() - start) * 1e3)
    return least, result


def beside(name: str, times: Times) -> None:
    ours, theirs = np.array(times["ours"]), np.array(times["plain"])
    middle, tail = (np.percentile(t, [50, 95]) for t in (ours, theirs))
    print(f"{name:34} {middle[0]:8.3f} {middle[1]:8.3f} {tail[0]:9.3f} {tail[1]:9.3f} "
          f"{tail[0] / middle[0]:16.1f}x {theirs.sum() / ours.sum():7.1f}x")  # fmt: skip


def alone(name: str, times: list[float]) -> None:
    print(f"{name:34} {np.median(times):8.3f} {np.percentile(times, 95):8.3f}")


def read(table: Path | None, count: int, most: int) -> list[Record]:
    """Molecules spread evenly over the table, with coordinates."""
    if table is None:
        rows = pq.read_table(Path(molfusion.__file__).parent / "demo" / "pairs.parquet")
        chosen = rows.take(np.linspace(0, len(rows) - 1, count).astype(int)).to_pylist()
        return [
            Record(r["id"], r["smiles"], r["smiles"], Geometry(np.array(r["numbers"], np.uint8),
                   np.array(r["positions"], np.float32).reshape(-1, 3)))
            for r in chosen
        ]  # fmt: skip
    with gzip.open(table, "rt") if table.suffix == ".gz" else table.open() as file:
        delimiter = "\t" if ".tsv" in table.name else ","
        spelled = [row["smiles"] for row in csv.DictReader(file, delimiter=delimiter, quoting=csv.QUOTE_NONE)]
    records: list[Record] = []
    for smiles in (spelled[i] for i in np.random.default_rng(0).permutation(len(spelled))):
        try:
            mol = parse(smiles)
            if mol.GetNumAtoms() <= most:
                made = embed(mol)
                records.append(Record(smiles, smiles, canonical(mol), Geometry(made.numbers, made.positions)))
        except ChemError:
            continue
        if len(records) == count:
            break
    return records


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").is_file() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())


if __name__ == "__main__":
    main()

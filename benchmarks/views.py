"""CPU time of what each view computes for a molecule, beside the usual way of computing the same.

    python -m benchmarks views                       # named molecules
    python -m benchmarks views --molecules FILE      # any table with a column `smiles`

Both sides are measured molecule by molecule in turn, best of three, and their results compared: another number is an
error. Embedding is not timed but where a row says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from PIL import Image

from benchmarks import molecules, plain
from benchmarks.table import Row, Table, timed
from molfusion.batch import Record
from molfusion.chem import e3fp, e3fp_package
from molfusion.chem.conformer import embed
from molfusion.chem.graph import graph
from molfusion.chem.image import draw
from molfusion.chem.parse import ChemError, parse
from molfusion.chem.relations import FAR, HOPS, bond_codes, paths
from molfusion.views import E3FPView, FingerprintView, GraphView, ImageView, RelationsView, SelfiesView, View

BATCH = 32
_ALONE: dict[str, View] = {
    "view graph": GraphView(), "view fingerprint": FingerprintView(), "view relations": RelationsView(), "view e3fp": E3FPView(),
    "view selfies": SelfiesView(unknown="unk", length=2000), "view image": ImageView(),
}  # fmt: skip


def table(quick: bool) -> Table:
    about, records = molecules.chosen(quick)
    repeats = 1 if quick else 3
    rows = [measure_paths(records, repeats), *measure_e3fp(records, repeats), *measure_image(records[:60], repeats)]
    rows.append(Row("conformer (ETKDG)", [timed(lambda r=r: embed(parse(r.smiles)), 1)[0] for r in records[:60]]))
    for name, view in _ALONE.items():
        rows.append(Row(name, [timed(lambda r=r, v=view: v.featurise(r), repeats)[0] for r in records[:60]]))
    notes = (
        "plain: Floyd-Warshall with path lists; the package e3fp; MolsToGridImage and a second PNG (benchmarks/plain.py). "
        "Results are equal."
    )
    return Table(f"{about}; coordinates given; CPU ms a molecule, best of {repeats}", rows, notes)


def measure_paths(records: Sequence[Record], repeats: int) -> Row:
    ours, theirs = [], []
    for record in records:
        g = graph(parse(record.smiles))
        if not len(g.edges):
            continue
        mine, found = timed(lambda g=g: paths(g), repeats)
        usual, (distance, whole) = timed(lambda g=g: plain.paths(len(g.atoms), g.edges, g.bonds), repeats)
        hops = np.zeros((*distance.shape, HOPS), np.uint8)
        first = whole[:, :, :HOPS]
        present = first[..., 0] >= 0
        hops[:, :, : first.shape[2]][present] = bond_codes(first[present].astype(np.uint8))
        assert np.array_equal(hops, found.hops), f"other paths: {record.smiles}"
        assert np.array_equal(np.where(distance == FAR, 0, distance), found.distances), f"other distances: {record.smiles}"
        ours.append(mine)
        theirs.append(usual)
    return Row("shortest paths, five bonds", ours, theirs)


def measure_e3fp(records: Sequence[Record], repeats: int) -> list[Row]:
    settings = e3fp.Settings()
    usable = []
    for record in records:
        mol, geometry = parse(record.smiles), record.geometry
        assert geometry is not None
        x = geometry.positions[: mol.GetNumAtoms()].astype(np.float64)
        try:
            mine, (found,) = timed(lambda m=mol, x=x: e3fp.shells([m], [x], settings), repeats)
        except ChemError:
            continue  # a bond or an atom that E3FP does not know
        theirs, expected = timed(lambda m=mol, x=x: e3fp_package.shells(m, x, settings), repeats)
        assert np.array_equal(found.identifiers, expected.identifiers), f"other identifiers: {record.smiles}"
        usable.append((mol, x, expected.identifiers, mine, theirs))
    single = Row("E3FP, one molecule a call", [u[3] for u in usable], [u[4] for u in usable])
    usable.sort(key=lambda u: len(u[1]))
    ours: list[float] = []
    for start in range(0, len(usable), BATCH):
        mols, xs, expected, _, _ = zip(*usable[start : start + BATCH], strict=True)
        mine, found = timed(lambda m=mols, x=xs: e3fp.shells(m, x, settings), repeats)
        assert all(np.array_equal(f.identifiers, e) for f, e in zip(found, expected, strict=True))
        ours += [mine / len(mols)] * len(mols)
    return [single, Row(f"E3FP, batches of {BATCH} by size", ours, [u[4] for u in usable])]


def measure_image(records: Sequence[Record], repeats: int) -> list[Row]:
    ours, theirs, items = [], [], []
    for record in records:
        mol = parse(record.smiles)
        mine, png = timed(lambda m=mol: draw(m, 1024, 1024), repeats)
        usual, other = timed(lambda m=mol: plain.draw(m, 1024, 1024), repeats)
        assert np.array_equal(*(np.array(Image.open(BytesIO(b)).convert("RGB")) for b in (png, other))), record.smiles
        ours.append(mine)
        theirs.append(usual)
        items.append({"png": np.frombuffer(png, np.uint8)})
    rows = [Row("image 1024²: draw and encode", ours, theirs)]
    view = ImageView()
    for size in (1, 8):
        batches = [items[i : i + size] for i in range(0, len(items), size)]
        spent = [timed(lambda b=b: view.collate(b), repeats)[0] / len(b) for b in batches]
        rows.append(Row(f"image 1024²: decode, batches of {size}", spent))
    return rows

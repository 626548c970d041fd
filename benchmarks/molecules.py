"""On what is measured: named molecules, and some of those that ship with molfusion."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

import molfusion
from molfusion.batch import Geometry, Record
from molfusion.chem.conformer import embed
from molfusion.chem.parse import ChemError, canonical, parse

FILE: Path | None = None  # set by `python -m benchmarks --molecules FILE`

# From 3 to 66 heavy atoms: everyday drugs, metabolites and natural products.
NAMED = {
    "ethanol": "CCO",
    "alanine": "C[C@H](N)C(=O)O",
    "benzene": "c1ccccc1",
    "aspirin": "CC(=O)Oc1ccccc1C(=O)O",
    "paracetamol": "CC(=O)Nc1ccc(O)cc1",
    "caffeine": "Cn1c(=O)c2c(ncn2C)n(C)c1=O",
    "ibuprofen": "CC(C)Cc1ccc(cc1)C(C)C(=O)O",
    "glucose": "OC[C@H]1OC(O)[C@H](O)[C@@H](O)[C@@H]1O",
    "nicotine": "CN1CCC[C@H]1c1cccnc1",
    "dopamine": "NCCc1ccc(O)c(O)c1",
    "penicillin G": "CC1(C)S[C@@H]2[C@H](NC(=O)Cc3ccccc3)C(=O)N2[C@H]1C(=O)O",
    "morphine": "CN1CC[C@]23c4c5ccc(O)c4O[C@H]2[C@@H](O)C=C[C@H]3[C@H]1C5",
    "quinine": "COc1ccc2nccc([C@@H](O)[C@@H]3CC4CCN3C[C@@H]4C=C)c2c1",
    "testosterone": "C[C@]12CC[C@H]3[C@@H](CCC4=CC(=O)CC[C@@]34C)[C@@H]1CC[C@@H]2O",
    "cholesterol": "C[C@H](CCCC(C)C)[C@H]1CC[C@@H]2[C@@]1(CC[C@H]3[C@H]2CC=C4[C@@]3(CC[C@@H](C4)O)C)C",
    "oleic acid": "CCCCCCCC/C=C\\CCCCCCCC(=O)O",
    "ATP": "Nc1ncnc2c1ncn2[C@@H]1O[C@H](COP(=O)(O)OP(=O)(O)OP(=O)(O)O)[C@@H](O)[C@H]1O",
    "imatinib": "Cc1ccc(NC(=O)c2ccc(CN3CCN(C)CC3)cc2)cc1Nc1nccc(n1)-c1cccnc1",
    "sildenafil": "CCCc1nn(C)c2c1nc([nH]c2=O)-c1cc(ccc1OCC)S(=O)(=O)N1CCN(C)CC1",
    "atorvastatin": "CC(C)c1n(CC[C@@H](O)C[C@@H](O)CC(=O)O)c(-c2ccc(F)cc2)c(-c2ccccc2)c1C(=O)Nc1ccccc1",
    "tetracycline": "CN(C)[C@H]1[C@@H]2C[C@H]3C(=C(O)c4c(O)cccc4[C@@]3(C)O)C(=O)[C@]2(O)C(O)=C(C(N)=O)C1=O",
    "erythromycin": "CC[C@@H]1[C@@]([C@@H]([C@H](C(=O)[C@@H](C[C@@]([C@@H]([C@H]([C@@H]([C@H](C(=O)O1)C)O[C@H]2C[C@@]([C@H]"
    "([C@@H](O2)C)O)(C)OC)C)O[C@H]3[C@@H]([C@H](C[C@H](O3)C)N(C)C)O)(C)O)C)C)O)(C)O",
    "paclitaxel": "CC1=C2[C@@]([C@]([C@H]([C@@H]3[C@]4([C@H](OC4)C[C@@H]([C@]3(C(=O)[C@@H]2OC(=O)C)C)O)OC(=O)C)OC(=O)c5ccccc5)"
    "(C[C@@H]1OC(=O)[C@H](O)[C@@H](NC(=O)c6ccccc6)c7ccccc7)O)(C)C",
    "amphotericin B": "O[C@H]1[C@@H](N)[C@H](O)[C@@H](C)O[C@H]1O[C@H]1/C=C/C=C/C=C/C=C/C=C/C=C/C=C/[C@H](C)[C@@H](O)[C@@H](C)"
    "[C@H](C)OC(=O)C[C@H](O)C[C@H](O)CC[C@@H](O)[C@H](O)C[C@H](O)C[C@]2(O)C[C@H](O)[C@@H](C(=O)O)[C@@H](O2)C1",
}  # fmt: skip


def chosen(quick: bool, most: int = 128) -> tuple[str, list[Record]]:
    """What to measure on, with coordinates, and a line that says what it is."""
    if FILE is not None:
        return _told(f"of {FILE.name}", from_table(FILE, 20 if quick else 200, most))
    return _told("by name (benchmarks/molecules.py)", list(named().values())[:: 4 if quick else 1])


def named() -> dict[str, Record]:
    """The named molecules, embedded."""
    out = {}
    for name, smiles in NAMED.items():
        mol = parse(smiles)
        made = embed(mol)
        out[name] = Record(name, smiles, canonical(mol), Geometry(made.numbers, made.positions), text=f"It is {name}.")
    return out


def demo(count: int) -> list[Record]:
    """Molecules spread evenly over the demo set, with its coordinates."""
    rows = pq.read_table(Path(molfusion.__file__).parent / "demo" / "pairs.parquet")
    kept = rows.take(np.linspace(0, len(rows) - 1, count).astype(int)).to_pylist()
    return [
        Record(r["id"], r["smiles"], r["smiles"], Geometry(np.array(r["numbers"], np.uint8),
               np.array(r["positions"], np.float32).reshape(-1, 3)))
        for r in kept
    ]  # fmt: skip


def from_table(path: Path, count: int, most: int) -> list[Record]:
    """Molecules drawn from a file, of at most so many atoms, embedded (not timed)."""
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
        delimiter = "\t" if ".tsv" in path.name else ","
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


def _told(what: str, records: list[Record]) -> tuple[str, list[Record]]:
    sizes = [parse(r.smiles).GetNumAtoms() for r in records]
    return f"{len(records)} molecules {what}, {min(sizes)} to {max(sizes)} heavy atoms, median {int(np.median(sizes))}", records

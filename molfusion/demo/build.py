"""Make the shipped data anew: `python -m molfusion.demo.build OUT` (some minutes on one core).

Everything is seeded; with the RDKit release that the files record, the same bytes of content come out.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import rdkit
from rdkit import Chem, RDConfig
from rdkit.Chem import AllChem
from rdkit.Chem import rdMolDescriptors as descriptors
from rdkit.Chem.EnumerateStereoisomers import EnumerateStereoisomers, StereoEnumerationOptions
from rdkit.Geometry import Point3D
from rich.progress import Progress

from molfusion.chem.parse import canonical_order, flat_canonical
from molfusion.data.card import load_card
from molfusion.data.instruct import Question, questions, usual, write_questions
from molfusion.data.records import load_records
from molfusion.demo.facts import facts_2d, facts_3d, facts_chi, facts_ez
from molfusion.demo.sentences import tell
from molfusion.demo.vocabulary import train_tokenizer
from molfusion.paths import cache_folder

_ELEMENTS = {"C", "N", "O", "F", "S", "P", "Cl", "Br", "I"}
_CONFORMERS = 10
_APART = 0.25  # Å of radius of gyration between two conformers worth telling apart

Row = dict[str, Any]


def nci_graphs() -> list[tuple[str, str]]:
    """(id, flat SMILES) of the drug-sized, connected molecules of RDKit's NCI list, shuffled with a fixed seed."""
    seen: set[str] = set()
    out = []
    for line in (Path(RDConfig.RDDataDir) / "NCI" / "first_5K.smi").read_text().splitlines():
        smiles, name = line.split()[:2]
        mol = Chem.MolFromSmiles(smiles)
        if mol is None or not _suitable(mol):
            continue
        flat = flat_canonical(mol)
        if "." not in flat and flat not in seen:
            seen.add(flat)
            out.append((f"NCI{name}", flat))
    random.Random(0).shuffle(out)
    return out


def _suitable(mol: Chem.Mol) -> bool:
    atoms = list(mol.GetAtoms())
    return (
        8 <= mol.GetNumHeavyAtoms() <= 26
        and {a.GetSymbol() for a in atoms} <= _ELEMENTS
        and not any(a.GetNumRadicalElectrons() for a in atoms)
    )


def pair_rows(name: str, flat: str) -> list[Row]:
    """The records of one graph: up to two stereoisomers, of each the most compact and the widest conformer, and of
    each conformer of a chiral one its mirror image.
    """
    rng = random.Random(name)
    options = StereoEnumerationOptions(maxIsomers=8, onlyUnassigned=True, unique=True, rand=1)
    isomers = list(EnumerateStereoisomers(Chem.MolFromSmiles(flat), options=options))
    rng.shuffle(isomers)
    rows: list[Row] = []
    told: set[str] = set()
    for number, isomer in enumerate(isomers):
        isomer = Chem.MolFromSmiles(Chem.MolToSmiles(isomer))
        if len(told) == 2 or Chem.MolToSmiles(isomer) in told | {_mirrored_smiles(t) for t in told}:
            continue
        conformers = list(_extreme_conformers(isomer))
        if conformers:
            told.add(Chem.MolToSmiles(isomer))
        for i, mol in enumerate(conformers):
            key = f"{name}-{number}.{i}"
            pools = {"3d": f"{name}-{number}"} if len(conformers) > 1 else {}
            image = _mirror(mol)
            if image is not None:
                pools["chi"] = key
                rows.append(_row(f"{key}m", name, image, {"chi": key}))
            rows.append(_row(key, name, mol, pools))
    return rows


def _mirrored_smiles(smiles: str) -> str:
    mol = Chem.MolFromSmiles(smiles)
    for atom in mol.GetAtoms():
        atom.InvertChirality()
    return str(Chem.MolToSmiles(mol))


def _extreme_conformers(isomer: Chem.Mol) -> Iterator[Chem.Mol]:
    full = Chem.AddHs(isomer)
    parameters = AllChem.ETKDGv3()
    parameters.randomSeed = 7
    parameters.maxIterations = 50
    parameters.numThreads = 1
    ids = list(AllChem.EmbedMultipleConfs(full, _CONFORMERS, parameters))
    if not ids or not AllChem.MMFFHasAllMoleculeParams(full):
        return
    AllChem.MMFFOptimizeMoleculeConfs(full, maxIters=200)
    radius = {i: descriptors.CalcRadiusOfGyration(Chem.RemoveHs(full), confId=i) for i in ids}
    compact, wide = min(ids, key=radius.__getitem__), max(ids, key=radius.__getitem__)
    for i in [compact, wide] if radius[wide] - radius[compact] >= _APART else [compact]:
        single = Chem.Mol(full, confId=i)
        if _keeps_its_stereo(isomer, single):
            yield single


def _keeps_its_stereo(isomer: Chem.Mol, mol: Chem.Mol) -> bool:
    """Whether the coordinates show the stereoisomer that was asked for, and every hydrogen can stay implicit."""
    heavy = _seen(mol)
    implicit = all(a.GetAtomicNum() > 1 for a in heavy.GetAtoms())
    return implicit and bool(Chem.MolToSmiles(heavy) == Chem.MolToSmiles(isomer))


def _seen(mol: Chem.Mol) -> Chem.Mol:
    """The heavy atoms with stereo read off the coordinates."""
    heavy = Chem.RemoveHs(mol)
    Chem.AssignStereochemistryFrom3D(heavy)
    return heavy


def _mirror(mol: Chem.Mol) -> Chem.Mol | None:
    """The enantiomer with exactly mirrored coordinates; None where the molecule is its own mirror image."""
    image = Chem.Mol(mol)
    conformer = image.GetConformer()
    for i, (x, y, z) in enumerate(mol.GetConformer().GetPositions()):
        conformer.SetAtomPosition(i, Point3D(-x, y, z))
    return None if Chem.MolToSmiles(_seen(image)) == Chem.MolToSmiles(_seen(mol)) else image


def _row(key: str, name: str, mol: Chem.Mol, pools: dict[str, str]) -> Row:
    heavy = _seen(mol)
    smiles, order = canonical_order(heavy)
    hydrogens = [a.GetIdx() for a in mol.GetAtoms() if a.GetAtomicNum() == 1]
    rows = order + hydrogens  # AddHs put them behind the heavy atoms, whose indices therefore stand
    rng = random.Random(f"{key}|text")
    first, *rest = tell("2d", facts_2d(heavy), rng)
    rest += tell("ez", facts_ez(heavy), rng) + tell("3d", facts_3d(heavy), rng) + tell("chi", facts_chi(heavy), rng)
    rng.shuffle(rest)
    return {
        "id": key,
        "smiles": smiles,
        "group": name,
        "numbers": [mol.GetAtomWithIdx(i).GetAtomicNum() for i in rows],
        "positions": np.round(mol.GetConformer().GetPositions()[rows], 3).astype(np.float32).ravel().tolist(),
        "facts": [f._asdict() for f in (first, *rest)],
        "pools": [{"kind": k, "name": v} for k, v in pools.items()],
    }


_PAIRS = pa.schema(
    {
        "id": pa.string(),
        "smiles": pa.string(),
        "group": pa.string(),
        "numbers": pa.list_(pa.uint8()),
        "positions": pa.list_(pa.float32()),
        "facts": pa.list_(pa.struct({"tag": pa.string(), "kind": pa.string(), "text": pa.string()})),
        "pools": pa.list_(pa.struct({"kind": pa.string(), "name": pa.string()})),
    }
)


def qm9_rows(count: int) -> list[Row]:
    """Molecules of QM9 drawn with a fixed seed, with all targets of the card `qm9` in its units."""
    card = load_card("qm9")
    records = load_records(card, cache_folder()).records
    drawn = random.Random(0).sample(records, count)
    names = [t.name for t in card.target_list()]
    return [
        {
            "id": r.id,
            "smiles": r.smiles,
            "numbers": r.geometry.numbers.tolist(),
            "positions": np.round(r.geometry.positions, 4).ravel().tolist(),
            **{name: round(value, 6) for name, value in zip(names, r.targets, strict=True)},
        }
        for r in drawn
        if r.geometry is not None
    ]


def question_files(count: int) -> dict[str, list[Question]]:
    """Questions about the first molecules of the card `demo_qm9`, by split."""
    card = load_card("demo_qm9")
    records = load_records(card, cache_folder()).records[:count]
    asked, found = usual(card, records), dict[str, list[Question]]()
    for record in records:
        found.setdefault(record.split, []).extend(questions(record, card.target_list(), asked))
    return found


def main(out: Path, graphs: int = 1200, qm9: int = 1500, asked: int = 300) -> None:
    """Write pairs.parquet, qm9.parquet, tokenizer.json and questions/ into `out`."""
    out.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    used = 0
    with Progress() as progress:
        task = progress.add_task("graphs", total=graphs)
        for name, flat in nci_graphs():
            found = pair_rows(name, flat)
            rows += found
            used += bool(found)
            progress.update(task, completed=used)
            if used == graphs:
                break
    _write(pa.Table.from_pylist(rows, schema=_PAIRS), out / "pairs.parquet")
    _write(pa.Table.from_pylist(qm9_rows(qm9)), out / "qm9.parquet")
    card = load_card("demo")
    card.files["all"].path = str((out / "pairs.parquet").resolve())
    train = [r.text for r in load_records(card, out / "cache").records if r.split == "train"]
    train_tokenizer(train).save(str(out / "tokenizer.json"))
    for split, about in question_files(asked).items():
        write_questions(about, out / "questions" / f"{split}.json.gz")
    print(f"{used} graphs, {len(rows)} records")


def _write(table: pa.Table, path: Path) -> None:
    noted = table.replace_schema_metadata({"rdkit": rdkit.__version__, "generator": "molfusion.demo.build"})
    floats = [f.name for f in table.schema if pa.types.is_floating(f.type)]
    pq.write_table(
        noted,
        path,
        compression="zstd",
        compression_level=19,
        use_dictionary=[f.name for f in table.schema if f.name not in {"positions", *floats}],
        use_byte_stream_split=floats,
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))

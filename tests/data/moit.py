"""A tiny 3D-MoIT in the published format: LMDBs of pickles and Alpaca files."""

import json
import pickle

import numpy as np
from rdkit import Chem
from rdkit.Chem import AllChem

MOLECULES = {
    "pretrain": {"1": "CCO", "2": "CCN", "9": "CC(C)O"},
    "train": {"3": "c1ccccc1O", "4": "CC(=O)O", "9": "CC(C)O"},  # 9: in the pretraining too
    "valid": {"5": "CCOC"},
    "test": {"6": "C[C@H](N)O", "4": "CC(=O)O"},  # 4: in the training too
}


def embedded(smiles):
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    AllChem.EmbedMolecule(mol, randomSeed=1)
    return [a.GetSymbol() for a in mol.GetAtoms()], mol.GetConformer().GetPositions()


def pubchem_record(cid, smiles):
    atoms, places = embedded(smiles)
    text = f"The molecule is number {cid}.\n"
    return {"atoms": atoms, "coordinates": [places, places + 1], "smiles": smiles, "cid": cid,
            "description": text, "enriched_description": f"Enriched: {text}"}  # fmt: skip


def qc_record(index, smiles):
    """As from an SD file: the atoms in another order than the SMILES, hydrogens among them."""
    atoms, places = embedded(smiles)
    order = np.random.default_rng(int(index)).permutation(len(atoms))
    return {"cid": index, "coordinates_list": [places[order]], "smi": smiles, "atoms": [atoms[i] for i in order]}


def write_lmdb(path, records):
    import lmdb

    path.parent.mkdir(parents=True, exist_ok=True)
    with lmdb.open(str(path), subdir=False, map_size=1 << 22, lock=False) as env, env.begin(write=True) as transaction:
        for key, value in records.items():
            transaction.put(key.encode(), value if isinstance(value, bytes) else pickle.dumps(value))


def question(key, name, value):
    return {"instruction": f"What is the {name}?", "input": key, "task": name,
            "output": f"The {name} for the input molecule is {value}."}  # fmt: skip


def write_dataset(folder):
    """All of it, with the leaks that the published files are said to have."""
    for split, molecules in MOLECULES.items():
        records = {cid: pubchem_record(cid, smiles) for cid, smiles in molecules.items()}
        write_lmdb(folder / "pubchem" / split / "3d-pubchem.lmdb", records)
    growing = []
    for split in ("train", "valid", "test"):  # the list that is never emptied
        growing += [question(cid, "LogP", f"{int(cid)}.25") for cid in MOLECULES[split]]
        path = folder / "pubchem" / split / "2d_computed_properties.json"
        path.write_text(json.dumps(growing))
    told = [question("6", "Description", "short"), question("77", "Description", "of nobody")]
    (folder / "pubchem" / "test" / "2d_descriptive_properties.json").write_text(json.dumps(told))
    write_lmdb(
        folder / "pubchemqc" / "pubchemqc_database.lmdb",
        {"3": qc_record("3", "C[C@H](N)C(=O)O"), "7": qc_record("7", "c1ccc2[nH]ccc2c1"), "8": qc_record("8", "CC")},
    )
    for split, key in (("train", "3"), ("test", "7")):
        path = folder / "pubchemqc" / split / "3d_computed_properties_unit.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps([question(key, "HOMO", "-6.125 eV")]))
    return folder

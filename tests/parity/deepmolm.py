"""Checks against DeepMoLM's official preprocessing and modules."""

import json
import re
from io import BytesIO

import numpy as np
import pytest
import rdkit
import torch
import torch.nn.functional as F
from PIL import Image

from molfusion.batch import Geometry, Record
from molfusion.chem import e3fp, e3fp_package
from molfusion.chem.parse import ChemError, parse
from molfusion.chem.selfies import atom_tokens, spell
from molfusion.views.e3fp import E3FPView
from molfusion.views.image import ImageView
from tests.parity.golden import Case, close, component

DEEPMOLM = e3fp.Settings()
# The package's own defaults.
DEFAULTS = e3fp.Settings(level=5, invariants="daylight", floating=False)
NO_STEREO = e3fp.Settings(stereo=False)


@component("deepmolm", "e3fp")
def shells(case: Case, tmp_path) -> None:
    io = {name: array.numpy() for name, array in case.arrays("io").items()}
    rows = json.loads((case.folder / "molecules.json").read_text())
    atoms = [slice(a, b) for a, b in zip(io["atom_offsets"], io["atom_offsets"][1:], strict=False)]
    tokens = [slice(a, b) for a, b in zip(io["token_offsets"], io["token_offsets"][1:], strict=False)]
    mols = [parse(row["smiles"]) for row in rows]
    positions = [io["coords"][a] for a in atoms]

    together = e3fp.shells(mols, positions, DEEPMOLM)
    for name, settings in (("ids", DEEPMOLM), ("ids_nostereo", NO_STEREO), ("ids_default", DEFAULTS)):
        for mol, x, a, row in zip(mols, positions, atoms, rows, strict=True):
            expected = io[name][a]
            if (expected == e3fp.ABSENT).all():  # theirs raises, as every heavy atom is floating
                with pytest.raises(ChemError, match="describes no atom"):
                    e3fp.shells([mol], [x], settings)
                continue
            (found,) = e3fp.shells([mol], [x], settings)
            close(found.identifiers, expected, f"{name} of {row['smiles']}")
    for found, a, row in zip(together, atoms, rows, strict=True):
        close(found.identifiers, io["ids"][a], f"ids in one batch: {row['smiles']}")
        close(found.duplicate, io["dup"][a], f"duplicates: {row['smiles']}")
        close(e3fp.fold(found.identifiers, 4096), io["fp_neg1"][a], f"folded: {row['smiles']}")

    for row, mol, x, a, t in zip(rows, mols, positions, atoms, tokens, strict=True):
        spelling = spell(mol)
        assert spelling.tokens == row["tokens"]
        assert spelling.order == row["atom_order"]
        at = np.empty(len(spelling.order), dtype=np.int64)
        at[spelling.order] = atom_tokens(spelling.tokens)
        close(at, io["atom_token_fixed"][a], f"tokens of the atoms: {row['smiles']}")
        # Their own rows are one short for each dot before the atom; ours are not. Their values at ours:
        record = Record(row["cid"], row["smiles"], row["smiles"], Geometry(_numbers(mol), x))
        for name, merge in (("fp_selfies", True), ("fp_selfies_nomerge", False)):
            ids = E3FPView(rows="selfies", merge=merge).featurise(record)["ids"]
            expected = np.full_like(io[name][t], -1)
            expected[at] = io[name][t][io["atom_token"][a]]
            close(ids, expected, f"{name}: {row['smiles']}")
            if "." not in row["smiles"]:
                close(ids, io[name][t], f"{name}, all rows: {row['smiles']}")

    for mol, x, a in list(zip(mols, positions, atoms, strict=True))[::10]:  # the backend to choose
        close(e3fp_package.shells(mol, x, DEEPMOLM).identifiers, io["ids"][a], "the package")


def _numbers(mol):
    return np.array([a.GetAtomicNum() for a in mol.GetAtoms()], dtype=np.uint8)


@component("deepmolm", "image")
def image(case: Case, tmp_path) -> None:
    io = case.arrays("io")
    made_by = re.search(r"RDKit (\d{4}\.\d+\.\d+)", (case.folder / "README.md").read_text())
    for k, row in enumerate(json.loads((case.folder / "info.json").read_text())):
        width, height = row["size"]
        view = ImageView(width, height, tiling="deepseek")
        stored = (case.folder / f"img{k}.png").read_bytes()
        if made_by and made_by[1] == rdkit.__version__:  # drawing differs between releases
            plain = ImageView(width, height)
            found = plain.collate([plain.featurise(Record("r", row["smiles"], row["smiles"]))]).pixels[0]
            close(found, np.array(Image.open(BytesIO(stored))), f"drawing {k}")
        batch = view.collate([{"png": np.frombuffer(stored, np.uint8)}] * 2)
        close(torch.tensor([batch.grid]), io[f"spatial_{k}"], f"grid {k}")
        whole = batch.normalise()
        assert list(whole.shape) == [2, *row["pixel_values"][1:]]
        close(F.avg_pool2d(whole[:1], 16), io[f"global_pool16_{k}"], f"whole image {k}", 1e-6)
        close(whole[0, :, 512], io[f"global_row512_{k}"], f"a row of it {k}", 1e-6)
        tiles = batch.normalise_tiles()
        assert (tiles is not None) == row["has_crops"]
        if tiles is None:  # theirs has a blank one
            assert not io[f"crops_pool16_{k}"].any()
            continue
        assert list(tiles.shape) == [2, *row["images_crop"][1:]]
        close(F.avg_pool2d(tiles[1], 16), io[f"crops_pool16_{k}"], f"tiles {k}", 1e-6)
        close(tiles[1, :, :, 320], io[f"crops_row320_{k}"].float(), f"rows of them {k}", 1e-3)  # kept as float16

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("JSONARGPARSE_DEPRECATION_WARNINGS", "off")
# Two threads spin against each other when the machine is loaded.
import pytest
import torch

from tests.stages import stages  # noqa: F401  (a fixture)

torch.set_num_threads(1)

# A small population: drug-like enough to have rings, stereo, charges and salts, quick to embed.
MOLECULES = [
    ("CCO", "It is an alcohol. It has two carbons.", 0.1), ("CCN", "It is an amine. It has two carbons.", 0.2),
    ("CCC", "It is an alkane. It has three carbons.", 0.3), ("CCCO", "It is an alcohol. It has three carbons.", 0.4),
    ("c1ccccc1", "It is benzene. It is aromatic.", 0.5), ("Cc1ccccc1", "It is toluene. It is aromatic.", 0.6),
    ("Oc1ccccc1", "It is phenol. It is aromatic.", 0.7), ("Nc1ccccc1", "It is aniline. It is aromatic.", 0.8),
    ("CC(=O)O", "It is an acid. It has two carbons.", 0.9), ("CC(=O)N", "It is an amide. It has two carbons.", 1.0),
    ("CC(=O)C", "It is a ketone. It has three carbons.", 1.1), ("CCOC", "It is an ether. It has three carbons.", 1.2),
    ("C1CCCCC1", "It is cyclohexane. It is a ring.", 1.3), ("C1CCNCC1", "It is piperidine. It is a ring.", 1.4),
    ("C1COCCN1", "It is morpholine. It is a ring.", 1.5), ("c1ccncc1", "It is pyridine. It is aromatic.", 1.6),
    ("CS", "It is a thiol. It has one carbon.", 1.7), ("CSC", "It is a thioether. It has two carbons.", 1.8),
    ("C[C@H](N)O", "Its stereocentre is one. It is small.", 1.9), ("C/C=C/C", "It is an alkene. It is E.", 2.0),
    ("C/C=C\\C", "It is an alkene. It is Z.", 2.1), ("[NH4+].[Cl-]", "It is a salt. It has no carbon.", 2.2),
    ("FC(F)F", "It is a fluoride. It has one carbon.", 2.3), ("C#N", "It is a nitrile. It has one carbon.", 2.4),
]  # fmt: skip


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    """One feature store for the whole session."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _own_cache(cache, monkeypatch):
    monkeypatch.setenv("MOLFUSION_CACHE", str(cache))


@pytest.fixture(scope="session")
def card(tmp_path_factory):
    """A card with text, a regression and a classification target, and every split."""
    folder = tmp_path_factory.mktemp("card")
    splits = ["train"] * 16 + ["val"] * 4 + ["test"] * 4
    lines = ["cid,smiles,caption,number,class,split"]
    for i, ((smiles, text, number), split) in enumerate(zip(MOLECULES, splits, strict=True)):
        measured = "" if i == 3 else number
        lines.append(f'c{i},{smiles},"{text}",{measured},{i % 2},{split}')
    (folder / "data.csv").write_text("\n".join(lines) + "\n")
    path = folder / "small.yaml"
    path.write_text(
        "name: small\ntitle: Small\nlicence: CC0-1.0\nfiles: {all: {path: data.csv, rows: 24}}\n"
        "columns: {id: cid, smiles: smiles, text: caption}\n"
        "targets: [{column: number, unit: eV}, {column: class, kind: classification}]\n"
        "split: {by: column, column: split}\n"
    )
    return path

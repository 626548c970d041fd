"""Odd molecules through the store, under every view: the right value or a ledger row that says why, and no hang."""

import numpy as np
import pytest

from molfusion import views
from molfusion.data.prepare import prepare
from molfusion.data.records import load_records
from molfusion.data.store import ViewStore
from molfusion.views.conformer import EmbeddingView
from tests.data.test_prepare import records
from tests.data.test_records import made

CONFORMER, E3FP, GRAPH = views.ConformerView(), views.E3FPView(), views.GraphView()
FINGERPRINT, RELATIONS = views.FingerprintView(), views.RelationsView()
SELFIES, IMAGE = views.SelfiesView(), views.ImageView(256, 256)
ALL = [CONFORMER, views.ConformerView(hydrogens=True), E3FP, GRAPH, FINGERPRINT, RELATIONS, SELFIES, IMAGE]
FLAT = {GRAPH, FINGERPRINT, IMAGE}  # they take whatever RDKit reads

# SMILES -> which views it has not, and why.
LARGE = {CONFORMER: "embedded up to 256", E3FP: "embedded up to 256", RELATIONS: "at most 256", SELFIES: "at most 256"}
NO_SHELL = {E3FP: "describes no atom"}
EXOTIC = {
    "C" * 600: LARGE,
    "C(" * 300 + "C" + ")" * 300: LARGE,
    "NCC(=O)" * 150 + "O": LARGE,
    ".".join(["CCO"] * 100): LARGE,
    "[Fe]": {},
    "O=[U]=O": {},
    "[Gd+3]": {},
    "[Fe+2].c1cc[cH-]c1.c1cc[cH-]c1": {},
    "[NH3]->[Pt](<-[NH3])(Cl)Cl": {E3FP: "not DATIVE", SELFIES: "no SELFIES"},
    "[Re]$[Re]": {E3FP: "not QUADRUPLE", SELFIES: "no SELFIES"},
    "[Na+].[Cl-]": {},
    "CN(C)CCc1ccccc1.Cl": {},
    "C": {},
    "[He]": {},
    "[CH3]": {},
    "[O][O]": {},
    "*C": {SELFIES: "no SELFIES"},
    "*": {SELFIES: "no SELFIES", **NO_SHELL},
    "[2H]OC": {},
    "[13CH4]": {SELFIES: "[13CH4]: not among the"},
    "[H][H]": NO_SHELL,
    "[2H][2H]": NO_SHELL,
    "[H+]": NO_SHELL,
    "F[Xe]F": {},
    "C(C)(C)(C)(C)C": "Explicit valence for atom # 0 C",
    "C" * 6000: "a SMILES of 6000 characters, expected at most 5000",
    "": "the SMILES is empty",
    " ": "the SMILES is empty",
    "C C": "not a SMILES: it has ' ' in it",  # RDKit reads methane
    "C\u00e9": "not a SMILES: it has",
    "CC>>CO": "not a SMILES",
    "[C,N]": "not a SMILES",
    "c1ccccc": "not a SMILES",
    "c1cccc1": "Can't kekulize",
}


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    root = tmp_path_factory.mktemp("exotic")
    summaries = prepare(records(*EXOTIC), ALL, root, workers=2, timeout=60.0)
    assert all(set(s.outcomes) <= {"ok", "failed", "fell_back"} for s in summaries)
    return {view: ViewStore(root, view) for view in [*ALL, EmbeddingView()]}


@pytest.mark.parametrize("smiles", EXOTIC, ids=lambda s: f"{s[:24]}({len(s)})")
def test_a_right_value_or_a_clear_row(stores, smiles):
    (record,) = records(smiles)
    refused = EXOTIC[smiles]
    for view in ALL:
        status, reason = stores[view].outcome(record)
        why = refused if isinstance(refused, str) else refused.get(view, refused.get(CONFORMER) if view == ALL[1] else None)
        if why is not None:
            assert (status, "\n" in reason) == ("failed", False)
            assert why in reason
            assert len(reason) < 700
        else:
            assert status == "ok", (view, reason)
            for array in stores[view].get(record).values():
                assert np.isfinite(array).all()


def get(stores, view, smiles):
    return stores[view].get(records(smiles)[0])


def test_atoms_without_neighbours(stores):
    for smiles, z in {"[He]": 2, "[Fe]": 26, "C": 6, "[H+]": 1, "*": 0}.items():
        found = get(stores, CONFORMER, smiles)
        assert found["numbers"].tolist() == [z]
        assert np.abs(found["positions"]).max() < 0.1
        assert len(get(stores, GRAPH, smiles)["edges"]) == 0
        assert get(stores, RELATIONS, smiles)["distances"].tolist() == [0]
    assert len(get(stores, ALL[1], "C")["numbers"]) == 5


def test_hydrogen_alone_keeps_its_atoms(stores):
    for smiles in ("[H][H]", "[2H][2H]"):
        found = get(stores, CONFORMER, smiles)
        assert found["numbers"].tolist() == [1, 1]
        assert 0.6 < np.linalg.norm(found["positions"][0] - found["positions"][1]) < 0.9


def test_fragments_keep_apart_and_ions_keep_their_charge(stores):
    found = get(stores, CONFORMER, "[Na+].[Cl-]")
    assert found["numbers"].tolist() == [11, 17]
    assert get(stores, GRAPH, "[Na+].[Cl-]")["atoms"][:, 3].tolist() == [6, 4]
    assert get(stores, RELATIONS, "[Na+].[Cl-]")["distances"].tolist() == [0] * 4


def test_what_distinguishes_them_is_seen(stores):
    atoms = {s: get(stores, GRAPH, s)["atoms"] for s in ("[CH3]", "C", "*C", "[O][O]", "[NH3]->[Pt](<-[NH3])(Cl)Cl")}
    assert [atoms[s][0, 5] for s in ("[CH3]", "C", "[O][O]")] == [1, 0, 1]  # radical electrons
    assert atoms["*C"][0, 0] == 118  # any element
    assert get(stores, GRAPH, "[NH3]->[Pt](<-[NH3])(Cl)Cl")["bonds"][0, 0] == 4  # another kind of bond
    assert get(stores, CONFORMER, "[2H]OC")["numbers"].tolist() == [8, 6]
    isotopes = [get(stores, FINGERPRINT, s)["index"].tolist() for s in ("[2H][2H]", "[H][H]")]
    assert isotopes[0] != isotopes[1]


def test_such_rows_of_a_file_are_dropped_with_the_same_reasons(tmp_path):
    """One absurd line does not take the whole card down: RDKit's canonicaliser overflows the stack at 20,000 atoms."""
    rows = ["CCO", "C" * 50_000, "C C", "C(C)(C)(C)(C)C", "*C"]
    found = load_records(made(tmp_path, "s\n" + "\n".join(rows) + "\n"), tmp_path / "cache")
    assert [r.smiles for r in found.records] == ["CCO", "*C"]
    assert [d.reason.split(":")[0] for d in found.dropped] == [
        "a SMILES of 50000 characters, expected at most 5000",
        "not a SMILES",
        "Explicit valence for atom # 0 C, 5, is greater than permitted",
    ]

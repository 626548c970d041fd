from molfusion.audit import Subject
from molfusion.batch import Record
from molfusion.data.card import Card, FileSpec, TargetSpec
from molfusion.data.records import Dropped

# Text and molecule by hand; no two neighbours have the same elements.
PAIRS = [
    ("OC(=O)CCl", "It is a chlorocarboxylic acid."), ("CCO", "It is an alcohol."),
    ("CS(C)(=O)=O", "It is a sulfone, a simple organosulfur compound."), ("CCN", "It is a primary amine, an amino alkane."),
    ("OP(O)(O)=O", "It is a phosphoric acid."), ("c1ccccc1", "It is an arene."),
    ("CBr", "It is a bromoalkane."), ("c1ccncc1", "It is a pyridine."), ("FC(F)F", "It is a fluoromethane."),
    ("CC(C)=O", "It is a ketone."), ("IC", "It is an iodoalkane."), ("C1CCNCC1", "It is a piperidine, an amino compound."),
    ("Clc1ccccc1", "It is a chlorobenzene."), ("CSC", "It is a thioether, an organosulfur compound."),
    ("C[Si](C)(C)C", "It is a silane."), ("N#CC", "It is a nitrile."), ("CC=O", "It is an aldehyde."),
    ("COP(=O)(OC)OC", "It is a phosphate ester."), ("O=[N+]([O-])C", "It is a nitroalkane."),
    ("Fc1ccccc1", "It is a fluorobenzene."), ("OB(O)c1ccccc1", "It is a boronic acid, an organoboron compound."),
    ("c1ccsc1", "It is a thiophene, an organosulfur compound."), ("BrCCBr", "It is a dibromoethane."),
    ("CC(N)C(=O)O", "It is an amino acid."),
]  # fmt: skip


def record(i, smiles, canonical=None, **fields):
    return Record(**{"id": f"r{i}", "group": f"r{i}", "smiles": smiles, "canonical": canonical or smiles, **fields})


def subject(records, dropped=(), targets=(), **card):
    files = {"train": FileSpec(path="none")}
    return Subject(Card(name="x", licence="MIT", files=files, targets=list(targets), **card), list(records), list(dropped))


def pairs(shift=0, repeat=1, split="train"):
    texts = [text for _, text in PAIRS]
    texts = texts[shift:] + texts[:shift]
    return [
        record(f"{split}{n}-{i}", smiles, text=texts[i], split=split)
        for n in range(repeat)
        for i, (smiles, _) in enumerate(PAIRS)
    ]


def levels(findings):
    return [f.level for f in findings]


__all__ = ["PAIRS", "Dropped", "TargetSpec", "levels", "pairs", "record", "subject"]

"""What generated and reconstructed molecules must beat: molecules that nobody made, scored by the same code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from molfusion.batch import Record
from molfusion.chem.similarity import fingerprint, molecule, tanimoto
from molfusion.data.datamodule import MoleculeData
from molfusion.metrics.generation import Asked, inchikeys, scores

Result = tuple[dict[str, float], list[dict[str, Any]]]
Choose = Callable[[Sequence[Record]], list[list[str]]]  # of some records, the molecules chosen for each

_SAMPLES = 5  # a prompt, as Generation makes


def random_train(data: MoleculeData) -> Result:
    """Any training molecules: what is known without the prompt."""
    return _scored(data, lambda records: _random(data.records["train"], records, _SAMPLES))


def random_test(data: MoleculeData) -> Result:
    """Any molecules of the same split: the distribution, without the prompt."""
    return _scored(data, lambda records: _random(records, records, _SAMPLES))


def nearest_text(data: MoleculeData) -> Result:
    """The training molecules whose texts are nearest to the prompt (TF-IDF of words and word pairs): retrieval, no model."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    train = data.records["train"]
    words = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    told = words.fit_transform([r.text for r in train])

    def choose(records: Sequence[Record]) -> list[list[str]]:
        alike = (words.transform([r.text for r in records]) @ told.T).toarray()
        return [_distinct([train[i].canonical for i in np.argsort(-row, kind="stable")]) for row in alike]

    return _scored(data, choose)


def random_one(data: MoleculeData) -> Result:
    """Any training molecule, in place of what was to come back."""
    return _scored(data, lambda records: _random(data.records["train"], records, 1))


def nearest_molecule(data: MoleculeData) -> Result:
    """The training molecule of the most similar Morgan fingerprint: what remembering alone could give back."""
    known = list({r.canonical: molecule(r.canonical) for r in data.records["train"]}.items())
    prints = [fingerprint(mol, "morgan2") for _, mol in known]

    def choose(records: Sequence[Record]) -> list[list[str]]:
        alike = [tanimoto(fingerprint(molecule(r.canonical), "morgan2"), prints) for r in records]
        return [[known[int(np.argmax(row))][0]] for row in alike]

    return _scored(data, choose)


GENERATION_BASELINES = {"random-train": random_train, "random-test": random_test, "nearest-text": nearest_text}
RECONSTRUCTION_BASELINES = {"random-train": random_one, "nearest-molecule": nearest_molecule}


def _random(among: Sequence[Record], records: Sequence[Record], count: int) -> list[list[str]]:
    """For each record `count` distinct molecules (or all there are), not knowing which is right."""
    known = sorted({r.canonical for r in among})
    rng = np.random.default_rng(0)
    return [[known[i] for i in rng.choice(len(known), min(count, len(known)), replace=False)] for _ in records]


def _distinct(ranked: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(ranked))[:_SAMPLES]


def _scored(data: MoleculeData, choose: Choose) -> Result:
    training = inchikeys([r.smiles for r in data.records["train"]])
    metrics: dict[str, float] = {}
    rows: list[dict[str, Any]] = []
    for split in ("val", "test"):
        records = data.records[split]
        if not records:
            continue
        asked = [Asked(r.id, r.group, r.smiles, made) for r, made in zip(records, choose(records), strict=True)]
        found, named = scores(asked, training)
        metrics |= {f"{split}/{name}": value for name, value in found.items()}
        rows += [{"split": split, **row} for row in named]
    return metrics, rows

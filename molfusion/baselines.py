"""What every table must beat: no network, fitted in seconds, scored by the same code.

A baseline takes the data and returns what a run leaves behind: metrics of `val` and `test`, and a row a prediction.
Settings are chosen on validation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from molfusion.batch import Record
from molfusion.caption_baselines import CAPTION_BASELINES
from molfusion.chem.parse import parse
from molfusion.chem.similarity import fingerprint, tanimoto
from molfusion.config import ConfigError
from molfusion.data.datamodule import MoleculeData
from molfusion.metrics import property as property_metrics
from molfusion.metrics import retrieval as retrieval_metrics
from molfusion.molecule_baselines import GENERATION_BASELINES, RECONSTRUCTION_BASELINES
from molfusion.views.fingerprint import FingerprintView

Floats = NDArray[np.float64]
Result = tuple[dict[str, float], list[dict[str, Any]]]

_ALPHAS = (0.1, 1.0, 10.0, 100.0)
_MOST_TRAIN = 20_000  # the ridge solves a system of this size, `nearest` looks at each; more training molecules are sampled


def baseline(table: str, name: str) -> Callable[..., Result]:
    """The baseline `name` for a task, or for the task that a paper's class is one of.

    Raises:
        ConfigError: there is no such baseline; the known ones are named.
    """
    from molfusion import strategies

    paper = getattr(strategies, table, None)
    tasks = [table, *(c.__name__ for c in paper.__mro__)] if isinstance(paper, type) else [table]
    known = next((BASELINES[task] for task in tasks if task in BASELINES), {})
    if name not in known:
        raise ConfigError(f"no baseline {name!r} for {table}; known: {', '.join(known) or 'none'}")
    return known[name]


# -- retrieval ---------------------------------------------------------------------------------------


def chance(data: MoleculeData) -> Result:
    """All candidates score the same."""
    return _retrieval(data, lambda records: np.zeros((len(records), len(records))))


def ridge_tfidf(data: MoleculeData) -> Result:
    """Ridge regression from count fingerprints to TF-IDF of words and word pairs; cosine in that space."""
    from scipy.linalg import cho_factor, cho_solve
    from sklearn.feature_extraction.text import TfidfVectorizer

    train = _sampled(data.records["train"])
    words = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    told = words.fit_transform([r.text for r in train])
    prints = _prints(train)
    kernel, overlap = prints @ prints.T, (told @ told.T).toarray()
    factor = {alpha: cho_factor(kernel + alpha * np.eye(len(kernel))) for alpha in _ALPHAS}
    known: dict[tuple[str, float], Floats] = {}  # molecule, alpha -> its column: under every scope of its text the same

    def columns(records: Sequence[Record], alpha: float) -> Floats:
        # Predicted text = cᵀ told with c = (K + αI)⁻¹ k: its cosine with any text needs inner products only.
        if new := list({r.smiles: r for r in records if (r.smiles, alpha) not in known}.values()):
            weight = cho_solve(factor[alpha], prints @ _prints(new).T)
            norms = np.sqrt(np.einsum("ij,ij->j", weight, overlap @ weight)).clip(min=1e-12)
            known.update({(r.smiles, alpha): c for r, c in zip(new, (weight / norms).T, strict=True)})
        return np.stack([known[r.smiles, alpha] for r in records])

    def scores(records: Sequence[Record], alpha: float) -> Floats:
        wanted = words.transform([r.text for r in records])
        cosines: Floats = columns(records, alpha) @ (told @ wanted.T).toarray()
        return cosines

    best = max(_ALPHAS, key=lambda alpha: _mrr(scores(data.records["val"], alpha)))
    return _retrieval(data, lambda records: scores(records, best))


def nearest_tfidf(data: MoleculeData) -> Result:
    """The text of the most similar training molecule is the guess: cosine with it in TF-IDF of words and word pairs."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    train = _sampled([r for r in data.records["train"] if r.text.strip()])
    words = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    told, alike = words.fit_transform([r.text for r in train]), _similarity(train)

    @cache  # under every scope of its text a molecule has the same neighbour
    def neighbour(smiles: str) -> int:
        return int(alike(smiles).argmax())

    def scores(records: Sequence[Record]) -> Floats:
        guessed = told[[neighbour(r.smiles) for r in records]]
        cosines: Floats = (guessed @ words.transform([r.text for r in records]).T).toarray()
        return cosines

    return _retrieval(data, scores)


def _mrr(scores: Floats) -> float:
    return retrieval_metrics.named(retrieval_metrics.both_directions(scores, [""] * len(scores)), "all")["score"]


def _retrieval(data: MoleculeData, scores: Callable[[Sequence[Record]], Floats]) -> Result:
    metrics: dict[str, float] = {}
    rows: list[dict[str, Any]] = []
    for split in ("val", "test"):
        records = data.records[split]
        for scope in ("all", *data.scopes.names):
            asked = records if scope == "all" else data.scopes.of(records, scope)
            if not asked:
                continue
            found = retrieval_metrics.both_directions(scores(asked), [r.pool for r in asked])
            metrics |= {f"{split}/{k}": v for k, v in retrieval_metrics.named(found, scope).items()}
            named = retrieval_metrics.rows(found, [r.id for r in asked], [r.group for r in asked], scope)
            rows += [{"split": split, **row} for row in named]
    return metrics, rows


# -- property ----------------------------------------------------------------------------------------


def mean(data: MoleculeData) -> Result:
    """The training mean of every target (of a classification, the share of ones)."""
    values = np.nanmean(data.target_values("train"), axis=0)
    return _property(data, lambda records: np.tile(values, (len(records), 1)))


def ridge_counts(data: MoleculeData) -> Result:
    """Ridge regression (for classes, logistic regression) from count fingerprints, each target by itself."""
    from sklearn.linear_model import LogisticRegression, Ridge

    train = _sampled(data.records["train"])
    prints = {"train": _prints(train), "val": _prints(data.records["val"]), "test": _prints(data.records["test"])}
    values = {"train": np.array([r.targets for r in train]), "val": data.target_values("val")}
    predicted = {split: np.zeros((len(prints[split]), len(data.targets))) for split in ("val", "test")}
    fitted: dict[tuple[bytes, float], Any] = {}  # a ridge of all targets that the same molecules have: a fifth of the time

    def ridge(known: NDArray[np.bool_], alpha: float, column: int) -> Callable[[Floats], Floats]:
        same = [c for c in numbers if np.array_equal(np.isfinite(values["train"][:, c]), known)]
        if (key := (known.tobytes(), alpha)) not in fitted:
            y = values["train"][known][:, same]
            fitted[key] = Ridge(alpha=alpha).fit(prints["train"][known], y - y.mean(0))
        centre, place = values["train"][known, column].mean(), same.index(column)
        return lambda x: np.asarray(fitted[key].predict(x)).reshape(len(x), -1)[:, place] + centre

    numbers = [i for i, t in enumerate(data.targets) if t.kind == "regression"]
    for column, target in enumerate(data.targets):
        known = np.isfinite(values["train"][:, column])
        x, y = prints["train"][known], values["train"][known, column]
        models: list[tuple[float, Any]] = []
        for alpha in _ALPHAS:
            if target.kind == "classification":
                model: Any = LogisticRegression(C=1 / alpha, max_iter=2000).fit(x, y.astype(int))
                predict = _probability(model)
            else:
                predict = ridge(known, alpha, column)
            guess = predict(prints["val"])[:, None]
            score = property_metrics.selection_score(guess, values["val"][:, [column]], [target], np.array([y.std() or 1.0]))
            models.append((score, predict))
        best = max(models, key=lambda m: m[0])[1]
        for split in predicted:
            predicted[split][:, column] = best(prints[split])
    return _scored(data, predicted)


def nearest(data: MoleculeData) -> Result:
    """The targets of the most similar training molecule; of a target that it lacks, those of the next that has it."""
    train = _sampled(data.records["train"])
    values = np.array([r.targets for r in train])
    measured, alike = np.isfinite(values.T), _similarity(train)

    def predict(records: Sequence[Record]) -> Floats:
        best = [np.where(measured, alike(r.smiles), -1.0).argmax(1) for r in records]
        guess: Floats = values[np.array(best, dtype=int).reshape(-1, len(measured)), np.arange(len(measured))]
        return guess

    return _property(data, predict)


def _probability(model: Any) -> Callable[[Floats], Floats]:
    return lambda x: np.asarray(model.predict_proba(x)[:, 1])


def _property(data: MoleculeData, predict: Callable[[Sequence[Record]], Floats]) -> Result:
    return _scored(data, {split: predict(data.records[split]) for split in ("val", "test")})


def _scored(data: MoleculeData, predicted: dict[str, Floats]) -> Result:
    train = data.target_values("train")
    spread = np.array([
        1.0 if t.kind == "classification" else (np.nanstd(train[:, i]) or 1.0) for i, t in enumerate(data.targets)
    ])  # fmt: skip
    metrics: dict[str, float] = {}
    rows: list[dict[str, Any]] = []
    for split, guess in predicted.items():
        measured = data.target_values(split)
        found = property_metrics.scores(guess, measured, data.targets)
        found["score"] = property_metrics.selection_score(guess, measured, data.targets, spread)
        metrics |= {f"{split}/{k}": v for k, v in found.items()}
        rows += [
            {"split": split, "id": r.id, "group": r.group, "target": t.name, "predicted": float(p), "measured": float(y)}
            for r, ps, ys in zip(data.records[split], guess, measured, strict=True)
            for t, p, y in zip(data.targets, ps, ys, strict=True)
        ]
    return metrics, rows


# -- shared ------------------------------------------------------------------------------------------

BASELINES: dict[str, dict[str, Callable[..., Result]]] = {
    "Retrieval": {"chance": chance, "ridge": ridge_tfidf, "nearest": nearest_tfidf},
    "Property": {"mean": mean, "ridge": ridge_counts, "nearest": nearest},
    "Captioning": CAPTION_BASELINES,
    "Generation": GENERATION_BASELINES,
    "Pretraining": RECONSTRUCTION_BASELINES,  # of autoencoders
}


def _sampled(records: Sequence[Record]) -> list[Record]:
    if len(records) <= _MOST_TRAIN:
        return list(records)
    chosen = np.random.default_rng(0).choice(len(records), _MOST_TRAIN, replace=False)
    return [records[i] for i in sorted(chosen)]


def _prints(records: Sequence[Record]) -> Floats:
    """[N, bits] log(1 + counts) of ECFP and atom pairs."""
    view = FingerprintView(bits=4096)
    if not records:
        return np.zeros((0, view.width))
    counts: Floats = view.collate([view.featurise(r) for r in records]).counts.double().numpy()
    return np.log1p(counts)


def _similarity(train: Sequence[Record]) -> Callable[[str], Floats]:
    """Of a SMILES its Tanimoto similarity [N] with each of them, by counts of ECFP; of several as similar the first counts."""
    prints = [fingerprint(parse(r.smiles), "counts2") for r in train]
    return lambda smiles: np.array(tanimoto(fingerprint(parse(smiles), "counts2"), prints))

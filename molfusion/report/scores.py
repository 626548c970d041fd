"""What `score` is in a table, in words."""

from __future__ import annotations

from typing import Literal

from molfusion.report.results import Table

Kind = Literal["retrieval", "molecules", "likelihood", "texts", "loss", "classes", "numbers"]


def kind(table: Table) -> Kind:
    """Told by the metrics, as papers' classes have names of their own."""
    known = {m for row in table.rows for r in row.results for m in r.metrics}
    if any("/m2t/" in m for m in known):
        return "retrieval"
    if "test/maccs" in known:
        return "molecules"
    if any(row.values("loss") and row.values("score") == [-v for v in row.values("loss")] for row in table.rows):
        return "likelihood" if "test/generated" in known else "loss"
    if "test/generated" in known:
        return "texts"
    return "classes" if table.targets and all(t["kind"] == "classification" for t in table.targets) else "numbers"


_ERRORS = {"MAE", "RMSE", "penalised_MAE", "loss", "median_rank", "hallucination", "unread"}


def sign(metric: str) -> int:
    """1 where higher is better, -1 where lower is."""
    return -1 if metric.rpartition("/")[2] in _ERRORS else 1


_NAMES: dict[Kind, str] = {
    "retrieval": "mean reciprocal rank",
    "molecules": "MACCS similarity",
    "likelihood": "log-likelihood of a token",
    "texts": "score of the texts",
    "loss": "score (minus loss)",
    "classes": "mean ROC-AUC",
    "numbers": "score (minus error in training spreads)",
}


def named(metric: str, table: Table) -> str:
    """The name of a metric on an axis."""
    return _NAMES[kind(table)] if metric == "score" else metric


def no_likelihoods(table: Table) -> str:
    """Of a table whose trained rows have a loss of the right texts: why its baselines have none."""
    missing = {"likelihood": "no `loss` and no `score`", "texts": "no `loss`"}.get(kind(table), "")
    lacking = any(row.baseline and row.results and not row.values("loss") for row in table.rows)
    return f"A baseline says no likelihoods, so it has {missing}." if lacking and missing else ""


def meaning(table: Table) -> str:
    """How `score` is computed; nothing of a table in which nothing ran."""
    if not any(row.results for row in table.rows):
        return ""
    found = kind(table)
    if found == "retrieval":
        pool = next((v[0] for row in table.rows if (v := row.values("m2t/pool"))), 0)
        return f"{pool:.0f} molecules are ranked for every caption (t2m) and back (m2t); `score` is the MRR of both."
    return {
        "molecules": "`score` is the mean MACCS Tanimoto similarity of what was made with what was wanted; no molecule counts 0.",
        "likelihood": "`score` is minus `loss`, the mean over the tokens of the test texts.",
        "texts": "`score` is the metric by which checkpoints were chosen.",
        "loss": "`score` is minus `loss`, the weighted sum of the losses, here of held-out molecules.",
        "classes": "`score` is the mean ROC-AUC.",
        "numbers": "`score` is minus the mean absolute error in units of each target's spread in training.",
    }[found]

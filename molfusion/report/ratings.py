"""What people made of the predictions: ratings that `molfusion annotate --import` put beside them."""

from __future__ import annotations

import csv
from collections import defaultdict

import numpy as np

from molfusion.annotation.ratings import FOLDER
from molfusion.annotation.sheet import RATINGS, SCALE
from molfusion.metrics.agreement import agreement
from molfusion.report.grid import Grid
from molfusion.report.results import Row, Table
from molfusion.report.statistics import bootstrap

Rating = dict[str, str]  # a line of ratings/<annotator>.csv


def rated(table: Table) -> Grid:
    """One row a model: the mean rating with its interval over molecules, and how many were rated."""
    found = {row.label: _read(row) for row in table.rows}
    rows = [
        [label, str(len({r["id"] for r in ratings})), *(_mean(ratings, name) for name in RATINGS)]
        for label, ratings in found.items()
        if ratings
    ]
    every = [r for ratings in found.values() for r in ratings]
    people = sorted({r["annotator"] for r in every})
    note = (
        f"Rated from {SCALE[0]} to {SCALE[1]} on a blinded sheet by {len(people)} ({', '.join(people)}); 95 % intervals by"
        f" resampling molecules, of each the mean over seeds and annotators. {_agreement(every)}"
    )
    emphasis = [bool(row.parts) for row in table.rows if found[row.label]]
    return Grid("Rated by people", ["", "molecules rated", *RATINGS], rows, note, emphasis=emphasis)


def _read(row: Row) -> list[Rating]:
    """All ratings of a row's runs."""
    ratings = []
    for result in row.results:
        for path in sorted((result.folder / FOLDER).glob("*.csv")):
            with path.open(newline="", encoding="utf-8") as file:
                ratings += [{**line, "annotator": path.stem} for line in csv.DictReader(file)]
    return ratings


def _mean(ratings: list[Rating], name: str) -> str:
    by_id: dict[str, list[int]] = defaultdict(list)
    group: dict[str, str] = {}
    for rating in ratings:
        if rating[name]:
            by_id[rating["id"]].append(int(rating[name]))
            group[rating["id"]] = rating["group"]
    if not by_id:
        return f"n/a: nobody rated its {name}"
    values = np.array([[np.mean(v) for v in by_id.values()]])
    groups = np.unique([group[key] for key in by_id], return_inverse=True)[1].astype(np.int64)
    found = bootstrap(values, groups)
    return f"{found.mean:.2f} [{found.low:.2f}, {found.high:.2f}]"


def _agreement(ratings: list[Rating]) -> str:
    """One sentence."""
    told = []
    items = 0
    for name in RATINGS:
        by_annotator: dict[str, dict[str, int]] = defaultdict(dict)
        for rating in ratings:
            if rating[name]:
                by_annotator[rating["annotator"]][rating["item"]] = int(rating[name])
        if (found := agreement(by_annotator, *SCALE)) is not None:
            items = max(items, found.items)
            kappa = "not defined" if found.kappa is None else f"{found.kappa:.2f}"
            told.append(f"{name} the same in {found.exact:.0%}, Cohen's kappa (quadratic weights) {kappa}")
    return f"Of {items} predictions rated more than once: {'; '.join(told)}." if told else "No prediction was rated twice."

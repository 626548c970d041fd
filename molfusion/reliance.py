"""Which inputs does a trained model use? The test split once more, each input taken from other molecules."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from molfusion.data.borrow import HOWS, How
from molfusion.paths import atomic
from molfusion.rows import write_rows
from molfusion.runner import Run
from molfusion.views.base import View
from molfusion.views.text import TextView

RESULT = "reliance.json"
ROWS = "reliance.parquet"


def reliance(run: Run, hows: Sequence[How] = HOWS, checkpoint: str = "best") -> dict[str, dict[str, dict[str, float]]]:
    """Metrics of the test split with each input of the encoder shuffled, blanked or swapped between twins.

    Writes reliance.json and, for paired intervals, reliance.parquet (a prediction's row with `view` and `how`) beside
    the run's other results.

    Returns:
        {input: {how: metrics}}; an input is a view that the encoder reads of the molecule.
    """
    built = run.built()
    path = run.checkpoint(checkpoint)
    found: dict[str, dict[str, dict[str, float]]] = {}
    rows: list[dict[str, Any]] = []
    for name, view in inputs(built.task.exports()["encoder"].views).items():
        found[name] = {}
        for how in hows:
            built.data.borrowed = {view: how}
            found[name][how] = run.score(built, "test", path)
            kept = ({k: v for k, v in row.items() if k != "vector"} for row in built.task.observed["test"])
            rows += [{"view": name, "how": how, **row} for row in kept]
    if built.trainer.is_global_zero:
        if rows:
            write_rows(rows, run.folder / ROWS)
        with atomic(run.folder / RESULT) as temporary:  # last: it says that all is there
            temporary.write_text(json.dumps(found, indent=1))
    return found


def inputs(views: frozenset[View]) -> dict[str, View]:
    """What is read of the molecule, by a name that tells them apart; the caption is the question, not an input."""
    read = sorted((v for v in views if not (isinstance(v, TextView) and v.reads == "text")), key=repr)
    count = Counter(type(v).__name__ for v in read)
    return {repr(v) if count[type(v).__name__] > 1 else type(v).__name__.removesuffix("View").lower(): v for v in read}

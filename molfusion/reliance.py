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

RESULT = "reliance.json"
ROWS = "reliance.parquet"


def reliance(run: Run, hows: Sequence[How] = HOWS, checkpoint: str = "best") -> dict[str, dict[str, dict[str, float]]]:
    """Metrics of the test split with each of the task's inputs shuffled, blanked or swapped between twins.

    Writes reliance.json and, for paired intervals, reliance.parquet (a prediction's row with `view` and `how`) beside
    the run's other results.

    Returns:
        {input: {how: metrics}}; an input is a view (see `Task.inputs`).
    """
    built = run.built()
    path = run.checkpoint(checkpoint)
    found: dict[str, dict[str, dict[str, float]]] = {}
    rows: list[dict[str, Any]] = []
    for name, view in named(built.task.inputs()).items():
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


def named(views: frozenset[View]) -> dict[str, View]:
    """Views by names that tell them apart."""
    count = Counter(type(v).__name__ for v in views)
    return {
        repr(v) if count[type(v).__name__] > 1 else type(v).__name__.removesuffix("View").lower(): v
        for v in sorted(views, key=repr)
    }

"""Checks against DeepMoLM's official reading of generated answers."""

import json
import re

from molfusion.metrics import numeric
from tests.parity.golden import Case, component

_LINE = re.compile(r"^(?P<task>.+?)    Valid Ratio:(?P<valid>\S+), MAE:(?P<error>\S+)$", re.MULTILINE)


@component("deepmolm", "parse")
def parse(case: Case, tmp_path) -> None:
    rows = [json.loads(line) for line in (case.folder / "rows.jsonl").read_text().splitlines() if line.strip()]
    said, wanted, tasks = ([value for row in rows for value in row[key]] for key in ("prediction", "target", "task_type"))
    printed = {m["task"]: (m["valid"], m["error"]) for m in _LINE.finditer((case.folder / "expected_stdout.txt").read_text())}
    assert printed
    assert printed.keys() == set(tasks) & numeric.RANGES.keys()
    asked = [i for i, task in enumerate(tasks) if task in printed]
    found = numeric.scores(*([values[i] for i in asked] for values in (said, wanted, tasks)))
    for task, (valid, error) in printed.items():
        assert f"{found[f'{task}/valid']:.4f}" == valid, task
        assert f"{found[f'{task}/MAE']:.3f}" == error, task

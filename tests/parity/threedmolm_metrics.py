"""Checks against 3D-MoLM's official metrics of texts and numbers."""

import json

import numpy as np

from molfusion.metrics import numeric, text
from tests.parity.golden import Case, close, component

EXACT = 1e-12


def vocabulary(case: Case, folder) -> str:
    """The lower-case BERT tokenizer of a case, as a folder."""
    path = folder / "bert_uncased"
    path.mkdir()
    (path / "vocab.txt").write_text("\n".join(case.config["vocab"]) + "\n")
    return str(path)


@component("3d-molm", "text_metrics")
def text_metrics(case: Case, tmp_path) -> None:
    c, expected = case.config, case.arrays("outputs")
    found = text.scores(c["predictions"], c["targets"], vocabulary(case, tmp_path), truncation=None)
    for ours, theirs in (("BLEU-2@bert_uncased", "bleu2"), ("BLEU-4@bert_uncased", "bleu4"), ("ROUGE-1", "rouge1"),
                         ("ROUGE-2", "rouge2"), ("ROUGE-L", "rougeL"), ("METEOR@bert_uncased", "meteor")):  # fmt: skip
        close(np.float64(found[ours]), expected[theirs], theirs, EXACT)


@component("3d-molm", "numeric_metrics")
def numeric_metrics(case: Case, tmp_path) -> None:
    """The official script's printout: numbers task by task, then the texts of the two tasks that ask for texts."""
    ranks = [json.loads(line) for line in (case.folder / "predictions.txt").read_text().splitlines()]
    predicted, wanted, tasks = ([x for r in ranks for x in r[k]] for k in ("prediction", "target", "task_type"))
    lines, tokenizer = iter(case.config["stdout"]), vocabulary(case, tmp_path)
    for line in lines:
        task = line.split("    ")[0]
        mine = [i for i, t in enumerate(tasks) if t == task]
        said, right = [predicted[i] for i in mine], [wanted[i] for i in mine]
        if task in numeric.RANGES:
            found = numeric.scores(said, right, [task] * len(mine))
            valid, mae = found[f"{task}/valid"], found.get(f"{task}/MAE", float("nan"))
            assert line == f"{task}    Valid Ratio:{valid:.4f}, MAE:{mae:.3f}"
        else:
            found = text.scores(said, right, tokenizer, truncation=None)
            order = ("BLEU-2@bert_uncased", "BLEU-4@bert_uncased", "METEOR@bert_uncased", "", "ROUGE-1", "ROUGE-2", "ROUGE-L")
            for name in order:
                printed = next(lines)
                if name:
                    np.testing.assert_allclose(float(printed.rpartition(":")[2]), found[name], rtol=EXACT)

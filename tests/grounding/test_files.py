import json

import pyarrow.parquet as pq
import pytest

from molfusion.cli import main
from tests.tasks.helpers import fit

E3FP = {"class_path": "molfusion.encoders.E3FPTokens", "init_args": {"dim": 16, "shells": {"bits": 256}}}
PICTURE = {
    "class_path": "molfusion.encoders.DeepEncoder",
    "init_args": {
        "image": {"width": 32, "height": 32, "whole": 32},
        "crops": "off",
        "local": {"dim": 8, "layers": 1, "heads": 2, "patch": 4, "window": 2, "everywhere": [0], "channels": [4, 8, 8]},
        "globally": {"layers": 1, "heads": 2, "ffn": 16, "side": 2},
    },
}
FUSION = {
    "class_path": "molfusion.fusion.CrossAttention",
    "init_args": {"query": PICTURE, "context": E3FP, "dim": 16, "heads": 2},
}
TEXT = {"class_path": "molfusion.encoders.TextEncoder", "init_args": {"dim": 16, "layers": 1, "heads": 2, "dropout": 0.0}}
LM = {"class_path": "molfusion.language.LanguageModel", "init_args": {"train": "full", "length": 200}}

TASKS = {
    "Retrieval": {"encoder": FUSION, "text": TEXT},
    "Property": {"encoder": FUSION},
    "Captioning": {"encoder": FUSION, "lm": LM, "decoding": {"max_new_tokens": 8}, "samples": 2, "test_samples": 2},
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Trained once each, when first asked for."""
    return tmp_path_factory.mktemp("runs"), set()


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_explaining_a_run(task, card, runs, capsys):
    folder = runs[0] / task
    fit(folder, card, task, epochs=1, **TASKS[task])
    capsys.readouterr()
    assert main(["explain", "--run", str(folder), "--molecules", "2", "--deletion", "4"]) == 0
    said = capsys.readouterr().out
    assert "deletion, 4 molecules" in said
    found = json.loads((folder / "explain" / "grounding.json").read_text())
    assert found["method"] == "gradient"
    assert len(found["molecules"]) == 2
    table = pq.read_table(folder / "explain" / "molecules.parquet").to_pylist()
    assert [{**row, "problem": ""} for row in found["molecules"]] == table
    for row in found["molecules"]:
        for end in (".svg", ".png", "-picture.png"):
            assert (folder / "explain" / f"{row['id']}{end}").stat().st_size > 100
        assert len(row["atoms"]) == len(row["shells"])
        assert [len(row["pictures"][0]), len(row["pictures"][0][0])] == [2, 2]
    deletion = json.loads((folder / "explain" / "deletion.json").read_text())
    assert deletion["interval"][0] <= deletion["difference"] <= deletion["interval"][1]
    assert deletion["difference"] == pytest.approx(deletion["top"] - deletion["random"])

    one = found["molecules"][1]["id"]
    out = runs[0] / f"{task}-attention"
    assert main(["explain", str(folder), "--id", one, "--method", "attention", "--out", str(out)]) == 0
    (row,) = json.loads((out / "grounding.json").read_text())["molecules"]
    assert row["id"] == one
    assert sum(map(sum, row["shells"])) == pytest.approx(1.0, abs=1e-5)
    assert not (out / f"{one}-picture.png").exists()

    assert main(["explain", str(folder), "--id", "nobody"]) == 2
    assert "no molecule 'nobody' in the test split" in capsys.readouterr().err
    answered = main(["explain", str(folder), "--molecules", "1", "--answers", "generated", "--out", str(out)])
    if task == "Retrieval":
        assert answered == 2
        assert "generates none" in capsys.readouterr().err
    else:
        assert answered == 0


def test_a_folder_without_a_run(tmp_path, capsys):
    assert main(["explain", str(tmp_path)]) == 2
    assert "is not the folder of a run" in capsys.readouterr().err

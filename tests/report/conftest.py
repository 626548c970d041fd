import contextlib
import io
import json

import pytest

from molfusion.provenance import source_digest
from tests.report.helpers import IMAGE, MARKS, SCRIPT, TARGET, Page
from tests.sweep.helpers import PROPERTY, RETRIEVAL, sweep, write
from tests.tasks.helpers import QFORMER


@pytest.fixture(scope="session")
def made(card, cache, tmp_path_factory):
    """The folder of the sweep: two tables, two seeds, a fusion with part and control, one row n/a, one that fails."""
    folder = tmp_path_factory.mktemp("report")
    (folder / "data.csv").write_text((card.parent / "data.csv").read_text())
    (folder / "hostile.yaml").write_text(
        "name: hostile\n"
        f"title: {json.dumps(SCRIPT)}\nlicence: {json.dumps(IMAGE)}\ncite: {json.dumps(MARKS)}\n"
        "files: {all: {path: data.csv, rows: 24}}\n"
        "columns: {id: cid, smiles: smiles, text: caption}\n"
        f"targets: [{{column: number, name: {json.dumps(TARGET)}, unit: {json.dumps(SCRIPT)}}}]\n"
        "split: {by: column, column: split}\n"
    )
    fused = {**RETRIEVAL, "init_args": {**RETRIEVAL["init_args"], "text": None, "encoder": QFORMER}}
    encoder = {"model.encoder": "{needs}/encoder.yaml"}
    tables = {
        "retrieval": {
            "about": SCRIPT + MARKS,
            "set": {"model": RETRIEVAL},
            "headline": ["m2t/R@1", "t2m/R@1", "score"],
            "baselines": ["chance", "ridge"],
            "rows": {
                SCRIPT: {},
                MARKS: {"needs": SCRIPT, "set": encoder},
                IMAGE: {
                    "needs": SCRIPT, "parts": [SCRIPT], "control": MARKS,
                    "set": {"model": fused, "model.encoder.encoder": "{needs}/encoder.yaml"},
                },
                "Alone": {"set": {"model.text": None}},
                "Fails": {"set": {"model.weights": {SCRIPT + "|": 1.0}}},
            },
        },
        "property": {
            "set": {"model": PROPERTY},
            "headline": [f"{TARGET}/MAE", "score"],
            "baselines": ["mean", "ridge"],
            "rows_of": {"table": "retrieval", "set": encoder},
        },
    }  # fmt: skip
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()):
        patch.setenv("MOLFUSION_CACHE", str(cache))
        source_digest()  # once for all that is forked from here, even if somebody edits the package meanwhile
        file = write(folder, folder / "hostile.yaml", tables, seeds=[0, 1], title=SCRIPT, about=IMAGE)
        assert sweep(file, folder / "out") == 1  # one row fails
    return folder / "out"


@pytest.fixture(scope="session")
def page(made):
    return Page((made / "report.html").read_text())

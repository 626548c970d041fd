"""`molfusion prepare`: what it tells, the ledger it writes, and what it tries again."""

import csv

import pytest

from molfusion.cli import main
from molfusion.commands.prepare import lines
from molfusion.views import ConformerView, GraphView


@pytest.fixture
def prepare(tmp_path, monkeypatch, capsys):
    """The command on a few molecules, two of which have no conformer; returns what it printed."""
    monkeypatch.setenv("MOLFUSION_CACHE", str(tmp_path / "cache"))
    smiles = ["CCO", "CCN", "CCC", "CCCO", "C" * 257, "C[C@H]1[C@@H]2[C@H]1[C@H]2C", "C" * 39 + "O", "C C"]
    rows = "\n".join(f"m{i},{s},{i}.5,train" for i, s in enumerate(smiles))
    (tmp_path / "d.csv").write_text(f"id,s,y,split\n{rows}\nm8,CC,1.5,val\nm9,CO,1.5,test\n")
    (tmp_path / "card.yaml").write_text(
        "name: few\nlicence: CC0-1.0\nfiles: {all: {path: d.csv}}\ncolumns: {id: id, smiles: s}\n"
        "targets: [{column: y}]\nsplit: {by: column, column: split}\n"
    )

    def run(*words):
        code = main([
            "prepare", "-c", "experiments/base.yaml", "-c", "experiments/tasks/property.yaml",
            "--model.encoder", "experiments/encoders/tiny/unimol.yaml", "--data.card", str(tmp_path / "card.yaml"), *words,
        ])  # fmt: skip
        assert code == 0
        return capsys.readouterr().out

    return run


def test_it_tells_what_happened_and_keeps_it(prepare, tmp_path):
    file = tmp_path / "ledger.csv"
    told = prepare("--ledger", str(file))
    assert "EmbeddingView(seed=0, optimise='none', max_embedded=256): 0 present, 2 failed, 1 fell_back, 6 ok" in told
    assert "2 failed in all, such as m" in told
    assert "1 fell_back in all, such as m6" in told
    assert "left out" in told
    assert "6 rows in" in told  # of the embedding and of the conformer
    with file.open() as opened:
        rows = {row["id"]: row for row in csv.DictReader(opened) if row["view"].startswith("ConformerView")}
    assert rows.keys() == {"m4", "m5", "m6"}
    assert [rows[i]["status"] for i in ("m4", "m5", "m6")] == ["failed", "failed", "fell_back"]
    assert rows["m4"]["reason"] == "257 heavy atoms; coordinates are embedded up to 256 (max_embedded)"
    assert float(rows["m6"]["seconds"]) >= 0
    again = prepare("--retry")  # what failed is settled: only what killed its worker is tried again
    assert "9 present, nothing to do" in again
    assert "EmbeddingView" not in again


def test_lines_tell_rate_and_time_left(capsys):
    show = lines(every=0.0)
    for done in range(1, 4):
        show(GraphView(), done, 3)
    show(ConformerView(), 1, 2)
    told = capsys.readouterr().out.splitlines()
    assert len(told) == 3  # the end of a view needs no line: its summary comes
    assert told[1].startswith("GraphView: 2/3, ")
    assert all("molecules/s, " in line and line.endswith(" s left") for line in told)

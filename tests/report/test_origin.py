import json

from molfusion.report.origin import commands, missing, origin
from molfusion.report.results import load
from tests.report.fakes import run, sweep

COMMAND = "molfusion sweep my.yaml --only row=A --out x --data.card 'my card.yaml' --data.batch_size=8 -j 2 --retry"


def test_the_command_of_each_row(tmp_path):
    sweep(tmp_path, {"t": {"(mean)": {}, "A b": {}, "gone": {}}}, command=COMMAND)
    run(tmp_path / "t" / "A b" / "0", "Property", {"test/score": 1.0})
    run(tmp_path / "t" / "baseline-mean", "Property", {"test/score": 1.0})
    baseline, row = commands(load(tmp_path)).rows
    assert baseline[:2] == ["t", "(mean)"]
    assert row[2] == (
        "molfusion sweep my.yaml --only table=t --only 'row=A b' --data.card 'my card.yaml' --data.batch_size=8 --out NEW_FOLDER"
    )
    assert row[3] == f"molfusion fit -c '{tmp_path}/t/A b/0/config.yaml' --run NEW_FOLDER"


def test_what_did_not_run(tmp_path):
    sweep(tmp_path, {"t": {"(mean)": {}, "gone": {}}})
    assert missing(load(tmp_path)).rows == [["t", "(mean)", "–", "failed", "has not run"], ["t", "gone", "0", "done", ""]]


def test_all_machines_and_cards_are_told(tmp_path):
    sweep(tmp_path, {"t": {"A": {}}}, seeds=(0, 1))
    common = {"processor": "p", "cores": 2, "python": "3", "molfusion": "0", "source_digest": "s", "versions": {"torch": "2"}}
    for seed, device in enumerate(("cpu", "cuda")):
        run(tmp_path / "t" / "A" / str(seed), "Property", {}, seed=seed)
        path = tmp_path / "t" / "A" / str(seed) / "metrics.json"
        record = json.loads(path.read_text())
        path.write_text(json.dumps({**record, "provenance": {**common, "device": device}}))
    machine, data = origin(load(tmp_path))
    assert machine.rows[1:] == [
        ["processor", "p"], ["cores", "2"], ["device", "cpu; cuda"], ["python", "3"], ["molfusion", "0"], ["source", "s"],
        ["torch", "2"],
    ]  # fmt: skip
    assert machine.rows[0][1] == "t/A"  # whose source is no longer this one
    assert machine.emphasis == [True, *[False] * 7]
    assert data.rows == [["x", "x", "x", "train 1", "0", "x", "x"]]

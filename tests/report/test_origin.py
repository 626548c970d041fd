from molfusion.report.origin import commands, missing
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

"""What the commands that ask a trained model share."""

from pathlib import Path

import pytest

from molfusion.cli import main
from molfusion.commands.shown import table_and_folder

COMMANDS = {
    "embed": ["CCO", "--run", "nowhere"], "caption": ["CCO", "--run", "nowhere"], "retrieve": ["CCO", "--run", "nowhere"],
    "explain": ["CCO", "--run", "nowhere"], "generate": ["x", "--run", "nowhere"], "annotate": ["nowhere"],
    "predict": ["-c", "experiments/base.yaml", "--run", "nowhere"],
}  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_the_ending_is_looked_at_before_the_run(command, capsys):
    """There is no such run, but that is not what is said."""
    assert main([command, *COMMANDS[command], "--out", "o.xlsx"]) == 2
    assert "o.xlsx: expected a name that ends in .csv" in capsys.readouterr().err


def test_a_table_and_what_belongs_to_it(tmp_path):
    assert table_and_folder("a/made.csv", Path("x")) == (Path("a/made.csv"), Path("a/made"))
    assert table_and_folder("a/made", Path("x")) == (Path("a/made/molecules.parquet"), Path("a/made"))
    assert table_and_folder("v1.2/", Path("x")) == (Path("v1.2/molecules.parquet"), Path("v1.2"))
    (tmp_path / "v1.2").mkdir()
    assert table_and_folder(str(tmp_path / "v1.2"), Path("x"))[1] == tmp_path / "v1.2"
    assert table_and_folder(None, Path("runs/lr0.1/x.y")) == (Path("runs/lr0.1/x.y/molecules.parquet"), Path("runs/lr0.1/x.y"))

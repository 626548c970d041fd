"""`molfusion vocabulary` on a small card."""

import json

import pytest

from molfusion.chem.motifs_vocabulary import load_vocabulary
from molfusion.cli import main


@pytest.mark.slow
@pytest.mark.parametrize("compat", [False, True])
def test_vocabulary(card, tmp_path, capsys, compat):
    paths = [tmp_path / "one.json", tmp_path / "two.json"]
    for path, workers in zip(paths, ("1", "2"), strict=True):
        words = ["vocabulary", str(card), "--out", str(path), "-j", workers, "--min-frequency", "3", "--min-count", "2"]
        words += ["--reach", "30"]
        assert main([*words, *(["--compat"] if compat else [])]) == 0
    assert paths[0].read_text() == paths[1].read_text(), "however many processes"
    found = load_vocabulary(paths[0])
    assert found.compat == compat
    assert found.settings["molecules"] == 16
    assert found.settings["min_frequency"] == 3
    assert ("CO", "O[CH3:1]") in found.pairs
    out = capsys.readouterr().out
    assert "train: 16 molecules, 0 left out" in out
    assert "val: 4 molecules: " in out
    assert "val: 4 connected molecules under 30 heavy atoms: " in out
    assert json.loads(paths[0].read_text())["rdkit"]


def test_needs_an_output(card, capsys):
    with pytest.raises(SystemExit) as error:
        main(["vocabulary", str(card)])
    assert error.value.code == 2
    assert "--out" in capsys.readouterr().err

"""What the README says can be done."""

import re
import shlex
import sys
from pathlib import Path

import pytest
import torch

from molfusion.cli import COMMANDS, main
from tests import contract

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
pytestmark = pytest.mark.skipif(not README.is_file(), reason="not in a checkout")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README.read_text(), re.DOTALL | re.MULTILINE)


def commands():
    for block in blocks("sh"):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] == ["molfusion"]:
                yield pytest.param(words[1:], id=" ".join(words[1:])[:60])


@pytest.fixture
def mylab(tmp_path, monkeypatch):
    """The README's own encoder and card, where its commands look for them."""
    (code,) = (b for b in blocks("python") if b.startswith("# mylab/"))
    (tmp_path / "mylab").mkdir()
    (tmp_path / code.split("\n", 1)[0].removeprefix("# ")).write_text(code)
    (card,) = (b for b in blocks("yaml") if b.startswith("name: mine"))
    (tmp_path / "mine.yaml").write_text(card)
    rows = ["name,SMILES,description,logS", *(f"m{n},{'C' * n}O,an alcohol,{n / 10}" for n in range(1, 20))]
    (tmp_path / "molecules.csv").write_text("\n".join(rows) + "\n")
    for folder in ("experiments", "data_cards"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield tmp_path
    for name in [n for n in sys.modules if n.split(".")[0] == "mylab"]:
        del sys.modules[name]


@pytest.mark.parametrize("words", list(commands()))
def test_commands(words, mylab, monkeypatch, capsys):
    """Each is understood: composed for those that train, planned for sweeps, run for the rest."""
    assert words[0] in COMMANDS
    if words[0] in {"predict", "prepare"} or "../shared/data/realtext" in " ".join(words):
        pytest.skip("needs a run or data that are not here")
    ending = {"fit": ["--print-config"], "sweep": ["--plan"]}.get(words[0], [])
    assert main([*words, *ending]) == 0, capsys.readouterr().err
    assert capsys.readouterr().out


def test_the_encoder_holds_the_contract(mylab):
    from importlib import import_module

    make = import_module("mylab.shells").Shells
    for check in (contract.check_shape, contract.check_alone, contract.check_train_is_eval, contract.check_moves):
        check(make())
    for precision in (torch.float32, torch.bfloat16):
        contract.check_gradients(make(), precision)
    contract.check_round_trip(make(), make())


@pytest.mark.slow
def test_the_encoder_trains_from_the_command_line(mylab, capsys):
    (words,) = (p.values[0] for p in commands() if "mylab" in p.values[0])
    short = ["--trainer.max_epochs=1", "--trainer.limit_train_batches=2", "--run=runs/x"]
    assert main([*words, *short]) == 0, capsys.readouterr().err
    assert (mylab / "runs" / "x" / "encoder.safetensors").is_file()


@pytest.mark.slow
def test_the_lines_of_python_run(mylab, monkeypatch):
    code = "\n".join(b for b in blocks("python") if "lightning" in b)
    assert "fit(task, data)" in code
    exec(compile(code, "README.md", "exec"), {})


def test_targets_of_make_exist():
    makefile = (ROOT / "Makefile").read_text()
    told = README.read_text() + (ROOT / "CONTRIBUTING.md").read_text()
    named = set(re.findall(r"(?:^|`|\$ )make ([a-z-]+)", told, re.MULTILINE))
    assert {"sweep", "test"} <= named
    for target in named:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_files_named_exist():
    for name in set(re.findall(r"\b(?:experiments|docs|data_cards|tests)/[\w./-]+\w", README.read_text())):
        assert (ROOT / name).exists(), name


def test_nothing_was_left_blank():
    assert not re.search(r"@@|TODO|XXX", README.read_text())

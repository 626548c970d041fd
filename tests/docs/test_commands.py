"""Every command in the documentation is understood: parsed, and composed where it trains."""

import sys

import pytest

from molfusion.cli import COMMANDS, main, parsers, split_overrides
from tests.docs.blocks import DOCS, blocks, commands, pages

pytestmark = pytest.mark.skipif(not DOCS.is_dir(), reason="not in a checkout")


def _shown():
    for page in pages():
        for block in blocks(page):
            if block.language == "sh":
                for words in commands(block):
                    if words[0] == "molfusion":
                        marks = [pytest.mark.slow] if words[1] == "sweep" else []  # many configs each
                        yield pytest.param(page, words[1:], id=f"{page.stem}: {' '.join(words[1:])[:60]}", marks=marks)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder that holds the page's own files."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def fill(page):
        for block in blocks(page):
            if block.file:
                (tmp_path / block.file).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / block.file).write_text(block.text)

    return fill


@pytest.mark.parametrize(("page", "words"), list(_shown()))
def test_understood(page, words, folder, capsys):
    folder(page)
    name, *rest = words
    command = parsers()[1][name]
    known, overrides = split_overrides(command, rest) if "--" in " ".join(rest) else (rest, [])
    arguments = command.parse_args(known)
    assert name in COMMANDS
    if name == "fit":  # what earlier commands of the page leave behind is not here
        there = [f"--{o}" for o in overrides if not o.partition("=")[2].startswith("runs/")]
        files = [word for file in arguments.config for word in ("-c", file)]
        assert main(["fit", *files, *there, "--print-config"]) == 0, capsys.readouterr().err
    elif name == "sweep":
        assert main([*words, "--plan"]) == 0, capsys.readouterr().err

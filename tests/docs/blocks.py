"""The code in the documentation, as a reader would copy it."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

DOCS = Path(__file__).parent.parent.parent / "docs"


class Block(NamedTuple):
    """A fenced block; `file` is the name its first line gives it."""

    language: str
    text: str
    file: str


def pages() -> list[Path]:
    return sorted(DOCS.rglob("*.md"))


def blocks(page: Path) -> Iterator[Block]:
    for language, text in re.findall(r"^```(\w+)\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE):
        named = re.match(r"# ([\w./-]+\.\w+)\n", text)
        yield Block(language, text, named[1] if named else "")


def commands(block: Block) -> Iterator[list[str]]:
    """Words of each line of a shell block."""
    for line in block.text.replace("\\\n", " ").splitlines():
        if words := shlex.split(line, comments=True):
            yield words

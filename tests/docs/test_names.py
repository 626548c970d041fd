"""What the documentation names exists: files, commands, dotted names, and the switches of the strategy pages."""

import dataclasses
import inspect
import re
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest

from molfusion.cli import COMMANDS
from tests.docs.blocks import DOCS, pages

pytestmark = pytest.mark.skipif(not DOCS.is_dir(), reason="not in a checkout")
ROOT = DOCS.parent
HOMES = ("encoders", "fusion", "decoders", "language", "tasks", "views", "strategies", "nn.diffusion", "encoders.hier")
_CODE = re.compile(r"`([^`\n]+)`")


def inline(page: Path) -> list[str]:
    """What stands in backticks outside of blocks."""
    return _CODE.findall(re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE).replace("\n", " "))


def found(name: str) -> Any:
    """A class by its bare name."""
    for home in HOMES:
        if hasattr(module := import_module(f"molfusion.{home}"), name):
            return getattr(module, name)
    raise AssertionError(f"no class {name} in {', '.join(HOMES)}")


def by_path(dotted: str) -> Any:
    """`molfusion.tasks.Property`: the longest module there is, then attributes."""
    parts = dotted.split(".")
    for end in range(len(parts), 0, -1):
        try:
            here: Any = import_module(".".join(parts[:end]))
        except ModuleNotFoundError:
            continue
        for part in parts[end:]:
            here = getattr(here, part)
        return here
    raise AssertionError(dotted)


@pytest.mark.parametrize("page", pages(), ids=lambda p: p.stem)
def test_dotted_names_and_files(page):
    for code in inline(page):
        if re.fullmatch(r"molfusion(\.\w+)+", code):
            by_path(code)
        elif re.fullmatch(r"(experiments|molfusion|tests|data_cards|benchmarks)/[\w./-]*", code):
            assert (ROOT / code).exists(), code
        elif (words := code.split())[0] == "molfusion" and len(words) > 1:
            assert words[1] in COMMANDS, code


@pytest.mark.parametrize("page", sorted((DOCS / "strategies").glob("*.md")), ids=lambda p: p.stem)
def test_switches(page):
    """`Class.argument` and `Class.argument: value` are arguments, and the value is one they take."""
    switches = [m for code in inline(page) if (m := re.fullmatch(r"([A-Z]\w+)\.([a-z]\w+)(?:: (\S+))?", code))]
    assert switches or page.stem == "index"
    for owner, argument, value in (m.groups() for m in switches):
        made = found(owner)
        names = inspect.signature(made).parameters
        assert argument in names, f"{owner} has no argument {argument}"
        kind = get_type_hints(made if dataclasses.is_dataclass(made) else made.__init__).get(argument)
        if value is not None and get_origin(kind) is Literal:
            assert value in get_args(kind), f"{owner}.{argument} takes {get_args(kind)}, not {value}"


def test_nothing_names_this_machine():
    for page in pages():
        assert not re.search(r"/work/|\.\./shared|TODO|XXX", page.read_text()), page

"""What the commands that ask a trained model share: texts from files, bars, places, a summary, drawings."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from molfusion.config import ConfigError

if TYPE_CHECKING:
    from molfusion.trained import Trained

_LINE_SECONDS = 10.0  # between two lines on a pipe


def lines_of(file: Path) -> list[str]:
    """One text a line; empty lines count for nothing here.

    Raises:
        ConfigError: no such file.
    """
    if not file.is_file():
        raise ConfigError(f"no text file {file}")
    return [line for line in file.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]


def card_of(arguments: argparse.Namespace) -> str | None:
    """What --data.card names, if it is given."""
    return next((o.partition("=")[2] for o in reversed(arguments.overrides) if o.startswith("data.card=")), None)


def molecules_of(arguments: argparse.Namespace) -> list[str] | None:
    """The SMILES of the command line; None: the card of the config, which --data.card overrules.

    Raises:
        ConfigError: both a card and SMILES, or a file in the place of a SMILES, there or not.
    """
    from molfusion.data.guess import plain_format

    given: list[str] = arguments.smiles
    if given and card_of(arguments) is not None:
        raise ConfigError(f"both --data.card and SMILES ({given[0]!r}, …) are given: give one of them")
    if files := [s for s in given if Path(s).is_file()]:
        raise ConfigError(f"{files[0]} is a file, not a SMILES: give it as --data.card {files[0]}")
    if missing := [s for s in given if plain_format(Path(s)) is not None]:
        raise ConfigError(f"no such file: {missing[0]} (and by its ending it is no SMILES)")
    return given or None


@contextmanager
def loaded(arguments: argparse.Namespace) -> Iterator[Trained]:
    """The run of a command, which shows how far it is."""
    from molfusion.trained import load

    run = load(arguments.run, arguments.checkpoint, overrides=arguments.overrides, allowed=arguments.allow_import)
    with watching() as run.progress:
        yield run


@contextmanager
def watching() -> Iterator[Callable[[str, int, int], None]]:
    """What to tell (what, done, of how many): a bar each on a terminal, on a pipe a line now and then."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    seen = sys.stdout.isatty()
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(), disable=not seen) as progress:
        bars: dict[str, TaskID] = {}
        last = time.monotonic()

        def show(what: str, done: int, total: int) -> None:
            nonlocal last
            if seen:
                if what not in bars:
                    bars[what] = progress.add_task(what, total=total)
                progress.update(bars[what], completed=done, total=total)
            elif done < total and time.monotonic() - last > _LINE_SECONDS:
                last = time.monotonic()
                print(f"{what}: {done}/{total}", flush=True)

        yield show


def table_at(out: str | None, default: Path, endings: Sequence[str] = (".csv", ".parquet")) -> Path:
    """Where --out has the table go: asked before anything is computed.

    Raises:
        MolfusionError: its ending is no table's.
    """
    from molfusion.rows import check_ending

    return check_ending(default if out is None else Path(out), endings)


def table_and_folder(out: str | None, default: Path) -> tuple[Path, Path]:
    """Where --out has the table go, and all else that a command writes: asked before anything is computed.

    A file (.csv, .parquet) has what belongs to it in a folder of the same name; a folder has all in it, the table as
    molecules.parquet.

    Raises:
        ConfigError: the name of a file that is no table.
    """
    from molfusion.rows import ENDINGS

    place = default if out is None else Path(out)
    if place.suffix in ENDINGS:
        return place, place.with_suffix("")
    if out is not None and place.suffix and not place.is_dir() and not out.endswith("/"):
        ends = " or ".join(ENDINGS)
        raise ConfigError(f"{out}: expected a name that ends in {ends}, or a folder (a new one with a dot ends in /: {out}/)")
    return place / "molecules.parquet", place


def finish(rows: Sequence[dict[str, Any]], out: Path) -> int:
    """Write the rows and say how many have an answer; the exit code: 1 where none has."""
    from molfusion.rows import write_rows

    write_rows(rows, out)
    lost = [row for row in rows if row["problem"]]
    print(f"{out}: {len(rows) - len(lost)} of {len(rows)}")
    if lost:
        print(f"{len(lost)} without an answer, in `problem` why; the first: {lost[0]['problem']}", file=sys.stderr)
    return 1 if len(lost) == len(rows) else 0


def draw(smiles: Sequence[str], legends: Sequence[str], stem: Path) -> list[Path]:
    """The molecules as `<stem>.png` and `<stem>.svg`."""
    from molfusion.chem.grid import draw_grid
    from molfusion.paths import atomic

    png, svg = draw_grid(smiles, legends)
    written = []
    for suffix, content in ((".png", png), (".svg", svg.encode())):
        written.append(stem.with_name(stem.name + suffix))
        with atomic(written[-1]) as path:
            path.write_bytes(content)
    return written

"""The front door. Only the standard library at import: `--help` answers at once, work is imported where it starts."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

COMMANDS = {
    "fit": ("molfusion.commands.run:main", "train, then test the checkpoint that was best on validation"),
    "validate": ("molfusion.commands.run:main", "score a run's checkpoint on the validation split"),
    "test": ("molfusion.commands.run:main", "score a run's checkpoint on the test split"),
    "predict": ("molfusion.commands.run:main", "write what a run's checkpoint says of every molecule of a card"),
    "prepare": ("molfusion.commands.prepare:main", "featurise a card for a config, resumably"),
    "sweep": ("molfusion.commands.sweep:main", "run a side-by-side or an ablation, and report"),
    "report": ("molfusion.commands.report:main", "write the report of a sweep's folder"),
    "export": ("molfusion.commands.export:main", "write the trained encoders of a run as config fragments"),
    "cards": ("molfusion.commands.cards:main", "list, inspect, audit, compare and fetch data cards"),
}


_WITH_OVERRIDES = {"fit", "validate", "test", "predict", "prepare", "sweep", "export"}
_OVERRIDES = "Any key of the config can be set after all files: --data.batch_size 32 or data.batch_size=32."


def parsers() -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    """The program's parser, and each command's own."""
    top = argparse.ArgumentParser(
        prog="molfusion",
        description="Does this way of fusing molecular modalities help, by how much, at what cost?",
        allow_abbrev=False,
    )
    top.add_argument("--version", action="store_true", help="print the version")
    sub = top.add_subparsers(dest="command", metavar="COMMAND")
    commands = {}
    for name, (_, line) in COMMANDS.items():
        epilog = _OVERRIDES if name in _WITH_OVERRIDES else None
        about = line[0].upper() + line[1:] + "."
        command = sub.add_parser(name, help=line, description=about, epilog=epilog, allow_abbrev=False)
        command.add_argument("--debug", action="store_true", help="show the traceback of an error")
        _ADD[name](command)
        commands[name] = command
    return top, commands


def _composed(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "-c", "--config", action="append", default=[], metavar="FILE", help="a config; several merge in order"
    )
    command.add_argument(
        "--allow-import", action="append", default=[], metavar="PREFIX",
        help="also import classes under this prefix; molfusion, torch, lightning and transformers always may",
    )  # fmt: skip
    command.add_argument("--print-config", action="store_true", help="print the composed config and stop")


def _add_run(command: argparse.ArgumentParser) -> None:
    command.add_argument("--run", metavar="FOLDER", help="the run's folder; by default runs/<name>-<digest of the config>")
    command.add_argument(
        "--ckpt_path", metavar="FILE", help="checkpoint: a file, `best` or `last`; fit resumes from `last` by itself"
    )
    _composed(command)


def _add_test(command: argparse.ArgumentParser) -> None:
    _add_run(command)
    command.add_argument(
        "--reliance", action="store_true", help="also without each input in turn: another molecule's, a blank, its twin's"
    )


def _add_predict(command: argparse.ArgumentParser) -> None:
    _add_run(command)
    command.add_argument("--out", metavar="FILE", help=".csv or .parquet; by default predicted.parquet in the run's folder")


def _add_prepare(command: argparse.ArgumentParser) -> None:
    _composed(command)


def _add_sweep(command: argparse.ArgumentParser) -> None:
    command.add_argument("file", metavar="FILE", help="a sweep, such as experiments/sweeps/side_by_side.yaml")
    command.add_argument("--out", metavar="FOLDER", help="where runs and report go; by default runs/<name of the sweep>")
    command.add_argument("-j", "--jobs", type=int, help="runs beside each other; by default one a core (or GPU)")
    command.add_argument("--plan", action="store_true", help="validate and list the cells, and stop")
    command.add_argument("--only", action="append", default=[], metavar="AXIS=VALUE", help="only these points")
    command.add_argument("--retry", action="store_true", help="run failed cells again")
    command.add_argument("--allow-import", action="append", default=[], metavar="PREFIX", help="as for fit")


def _add_report(command: argparse.ArgumentParser) -> None:
    command.add_argument("folder", metavar="FOLDER", help="of a sweep")


def _add_export(command: argparse.ArgumentParser) -> None:
    command.add_argument("run", metavar="RUN", help="the run's folder; with --tokens also the fragment of an encoder")
    command.add_argument("--checkpoint", default="best", help="`best`, `last` or a file")
    command.add_argument(
        "--tokens", action="store_true",
        help="also store what the encoder makes of every molecule of a card (--data.card CARD; by default the run's), and "
        "write tokens.yaml, which goes wherever the frozen encoder does",
    )  # fmt: skip
    command.add_argument("--dtype", choices=["float32", "bfloat16", "float16"], help="of the tokens; by default float32")
    command.add_argument("--out", metavar="FILE", help="instead of tokens.yaml in the run's folder")
    command.add_argument("--allow-import", action="append", default=[], metavar="PREFIX", help="as for fit")


def _add_cards(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "words", nargs="*", metavar="WORD",
        help="nothing: list all cards; CARD: say all about one; check CARD: audit its data; overlap A B: what B's molecules "
        "share with A's; fetch CARD: download its files",
    )  # fmt: skip
    command.add_argument(
        "--root", action="append", metavar="FOLDER", help="where the card's relative paths start; for overlap once a card"
    )
    command.add_argument("--unchecked", action="store_true", help="fetch: also files of which the card names no sha256")


_ADD = {
    "fit": _add_run, "validate": _add_run, "test": _add_test, "predict": _add_predict, "prepare": _add_prepare,
    "sweep": _add_sweep, "report": _add_report, "export": _add_export, "cards": _add_cards,
}  # fmt: skip


def split_overrides(command: argparse.ArgumentParser, words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The words argparse knows, and the overrides as `key=value`: any other `--key value`, `--key=value`, `key=value`.

    Raises:
        ValueError: an override without a value.
    """
    known: list[str] = []
    overrides: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        option = word.partition("=")[0]
        action = command._option_string_actions.get(option)
        if action is not None or word == "--":
            known.append(word)
            if action is not None and action.nargs != 0 and "=" not in word and rest:
                known.append(rest.pop(0))
        elif not word.startswith("-"):
            (overrides if "=" in word else known).append(word)
        elif "=" in word:
            overrides.append(word[2:])
        elif rest and not rest[0].startswith("--"):
            overrides.append(f"{word[2:]}={rest.pop(0)}")
        else:
            raise ValueError(f"{word} is no option, and as a key of the config it needs a value")
    return known, overrides


def main(argv: Sequence[str] | None = None) -> int:
    top, commands = parsers()
    words = list(sys.argv[1:] if argv is None else argv)
    overrides: list[str] = []
    command = commands.get(words[0]) if words else None
    if command is not None and words[0] in _WITH_OVERRIDES:
        try:
            known, overrides = split_overrides(command, words[1:])
        except ValueError as error:
            print(f"molfusion: command line: {error}", file=sys.stderr)
            return 2
        words = [words[0], *known]
    arguments = top.parse_args(words)
    if arguments.version:
        from importlib.metadata import version

        print(f"molfusion {version('molfusion')}")
        return 0
    if not arguments.command:
        top.print_help()
        return 2
    arguments.overrides = overrides
    module, function = COMMANDS[arguments.command][0].split(":")
    from molfusion.errors import reported

    return reported(lambda: getattr(importlib.import_module(module), function)(arguments), arguments.debug)


if __name__ == "__main__":
    sys.exit(main())

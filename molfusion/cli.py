"""The front door. Only the standard library at import: `--help` answers at once, work is imported where it starts."""

from __future__ import annotations

import argparse
import importlib
import os
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
    "embed": ("molfusion.commands.embed:main", "write a vector for every molecule of a card, or for SMILES and texts"),
    "retrieve": ("molfusion.commands.retrieve:main", "find the molecules nearest to a text, and the texts nearest to a molecule"),
    "caption": ("molfusion.commands.caption:main", "write what a run of Captioning says of molecules"),
    "generate": ("molfusion.commands.generate:main", "make molecules for a text with a run of Generation"),
    "explain": ("molfusion.commands.explain:main", "draw which atoms and parts of the picture a run's answers rest on"),
    "export": ("molfusion.commands.export:main", "write the trained encoders of a run as config fragments"),
    "vocabulary": ("molfusion.commands.vocabulary:main", "count the motifs of a card, for the hierarchical encoder and decoder"),
    "import": ("molfusion.commands.import_weights:main", "turn published weights into an encoder that a config can name"),
    "cards": ("molfusion.commands.cards:main", "list, inspect, audit, compare, fetch, convert and make data cards"),
    "rescore": ("molfusion.commands.rescore:main", "score generated texts again, under another tokenizer"),
    "annotate": ("molfusion.commands.annotate:main", "make a blinded sheet for human rating, and read the ratings back"),
}


_WITH_OVERRIDES = {
    "explain", "fit", "validate", "test", "predict", "prepare", "sweep", "export", "import", "embed", "retrieve", "caption",
    "generate",
}  # fmt: skip
_WITH_STRINGS = {"embed", "retrieve", "caption", "generate", "explain"}  # a SMILES may have an equals sign in it
_COMPUTED = "On the CPU in float32, unless --trainer.accelerator gpu --trainer.precision bf16-mixed."
_MOLECULES = (
    f"{_COMPUTED} --data.card CARD is a card or a plain file of molecules (.smi, .csv, .sdf, .parquet), by default what the "
    "run was trained on; --data.batch_size N."
)
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
        command.set_defaults(strings=name in _WITH_STRINGS)
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
    command.add_argument("--ledger", metavar="FILE", help="write a .csv of every molecule that failed or fell back, and why")
    command.add_argument("--retry", action="store_true", help="compute anew what timed out or killed its worker before")


def _add_sweep(command: argparse.ArgumentParser) -> None:
    command.add_argument("file", metavar="FILE", help="a sweep, such as experiments/sweeps/side_by_side.yaml")
    command.add_argument("--out", metavar="FOLDER", help="where runs and report go; by default runs/<path in sweeps/>")
    command.add_argument("-j", "--jobs", type=int, help="runs beside each other; by default one a GPU, or a core that it may use")
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


def _add_generate(command: argparse.ArgumentParser) -> None:
    command.add_argument("prompts", nargs="*", metavar="TEXT", help="what the molecules should be; several are asked in turn")
    _add_trained(command, "of a run of Generation", _COMPUTED)
    command.add_argument("-n", "--count", type=int, default=20, help="distinct molecules wanted for each text; by default 20")
    command.add_argument("--texts", action="append", default=[], metavar="FILE", help="texts from a file, one a line")
    command.add_argument(
        "--out", metavar="PLACE",
        help="a .csv or .parquet with a folder of the same name beside it, or a folder for all: table, molecules.smi and "
        "grid-N.png/svg; by default RUN/generated",
    )
    command.add_argument("--seed", type=int, default=0, help="of the noise: the same seed gives the same molecules")
    command.add_argument(
        "--timeout", type=float, default=120.0, metavar="SECONDS",
        help="for each text, by default 120; what is complete by then is kept, and `problem` says that time ran out",
    )  # fmt: skip
    command.add_argument("--steps", type=int, help="of sampling, instead of the run's")
    command.add_argument("--guidance", type=float, help="instead of the run's: 1 follows the text, 0 does not look at it")
    command.add_argument("--eta", type=float, help="instead of the run's: 1 ancestral sampling, 0 DDIM")


def _add_trained(command: argparse.ArgumentParser, of: str, epilog: str, required: bool = True) -> None:
    command.add_argument("--run", required=required, metavar="FOLDER", help=of)
    command.add_argument("--checkpoint", default="best", help="`best`, `last` or a file")
    command.add_argument("--allow-import", action="append", default=[], metavar="PREFIX", help="as for fit")
    command.epilog = epilog


def _add_embed(command: argparse.ArgumentParser) -> None:
    command.add_argument("smiles", nargs="*", metavar="SMILES", help="instead of --data.card")
    _add_trained(command, "of a run; or an encoder.yaml or text.yaml that a run exported", _MOLECULES)
    command.add_argument("--text", action="append", default=[], metavar="TEXT", help="also a text, where there is a text side")
    command.add_argument("--texts", action="append", default=[], metavar="FILE", help="texts from a file, one a line")
    command.add_argument("--out", metavar="FILE", help=".csv or .parquet; by default embedded.parquet in the run's folder")


def _add_retrieve(command: argparse.ArgumentParser) -> None:
    command.add_argument("queries", nargs="*", metavar="QUERY", help="a text (molecules are found) or a SMILES (texts are found)")
    _add_trained(command, "of a run of Retrieval", _MOLECULES)
    command.add_argument("-k", type=int, default=10, help="how many of each; by default 10")
    command.add_argument("--queries", dest="file", action="append", default=[], metavar="FILE", help="from a file, one a line")
    command.add_argument("--among", metavar="CARD", help="a card or a plain file to search; by default all of the run's")
    command.add_argument(
        "--as", dest="read_as", choices=["auto", "text", "smiles"], default="auto", help="what queries are; told by themselves"
    )
    command.add_argument(
        "--rerank", type=int, default=0, metavar="N", help="order the best N by the matching head too (a QFormer has one)"
    )
    command.add_argument(
        "--out", metavar="FILE",
        help=".csv or .parquet, by default retrieved.parquet in the run's folder; the molecules found are drawn beside it",
    )  # fmt: skip


def _add_caption(command: argparse.ArgumentParser) -> None:
    command.add_argument("smiles", nargs="*", metavar="SMILES", help="instead of --data.card")
    _add_trained(command, "of a run of Captioning", _MOLECULES)
    command.add_argument(
        "--prompt", metavar="TEXT", help="a question, instead of the run's own; with {molecule} in it, the whole prompt"
    )
    command.add_argument("--out", metavar="FILE", help=".csv or .parquet; by default captions.parquet in the run's folder")


def _add_explain(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "smiles", nargs="*", metavar="SMILES",
        help="instead of --data.card; without either, some of the run's own molecules. Without --run the first is the run",
    )  # fmt: skip
    _add_trained(command, "of a run with an encoder whose tokens stand for atoms", _MOLECULES, required=False)
    command.add_argument("--id", action="append", default=[], metavar="ID", help="of the run's own; by default the first ones")
    command.add_argument("--molecules", type=int, metavar="N", help="of the run's own without --id, how many; by default 8")
    command.add_argument("--split", choices=["val", "test"], help="of the run's own; by default test")
    command.add_argument(
        "--method", choices=["gradient", "attention"], default="gradient",
        help="gradient × input of the tokens, or what queries or a picture's tokens read of them",
    )  # fmt: skip
    command.add_argument(
        "--answers", choices=["given", "generated"],
        help="what to explain: the data's, by default of the run's own molecules, or what the model itself says or predicts",
    )  # fmt: skip
    command.add_argument("--text", metavar="TEXT", help="what is right of all SMILES or molecules of the card: to be explained")
    command.add_argument(
        "--deletion", type=int, default=0, metavar="N",
        help="on N molecules: is more lost without the tokens of the top atoms than of random ones?",
    )  # fmt: skip
    command.add_argument("--share", type=float, default=0.25, help="of the atoms that lose their tokens; by default 0.25")
    command.add_argument(
        "--out", metavar="PLACE",
        help="a .csv or .parquet with a folder of the same name for the drawings, or a folder for all; by default explain in "
        "the run's folder, explained for other molecules",
    )  # fmt: skip


def _add_import(command: argparse.ArgumentParser) -> None:
    command.add_argument("layout", nargs="?", metavar="LAYOUT", help="what the file is, such as unimol; nothing lists all")
    command.add_argument("file", nargs="?", metavar="FILE", help="the checkpoint; nothing in it is ever run")
    command.add_argument("--out", metavar="FOLDER", help="where encoder.yaml and encoder.safetensors go")
    command.add_argument("--part", metavar="FILE", help="encoder.yaml of a part that the checkpoint leaves out")
    command.epilog = "Sizes that no tensor tells are set as --encoder.heads 8, --encoder.tokenizer FOLDER."


def _add_cards(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "words", nargs="*", metavar="WORD",
        help="nothing: list all cards; CARD: say all about one; check CARD: audit its data; overlap A B: what B's molecules "
        "share with A's; fetch CARD: download its files; render: write data_cards/README.md",
    )  # fmt: skip
    command.add_argument(
        "--root", action="append", metavar="FOLDER", help="where the card's relative paths start; for overlap once a card"
    )
    command.add_argument("--unchecked", action="store_true", help="fetch: also files of which the card names no sha256")
    command.add_argument("--out", metavar="FOLDER", help="instruct, convert: where the new card and its files go")
    command.add_argument(
        "--ask", action="append", default=[], metavar="NAME", help="instruct: what to ask, such as HOMO, LogP or Caption"
    )


def _add_rescore(command: argparse.ArgumentParser) -> None:
    command.add_argument("predictions", metavar="FILE", help="predictions.parquet of a run, or 3D-MoLM's predictions.txt")
    command.add_argument(
        "--tokenizer", action="append", default=[], metavar="NAME", help="name or folder; by default `molfusion`"
    )
    command.add_argument("--truncation", type=int, metavar="N", help="look at the first N pieces of a text; by default at all")


def _add_annotate(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "folders", nargs="*", metavar="FOLDER", help="of runs to rate, or of a sweep's table; with --import of the sweep"
    )
    command.add_argument("--out", metavar="FILE", help="the sheet, .csv; its key goes beside it, as .key.json")
    command.add_argument("-n", "--count", type=int, default=50, metavar="N", help="molecules, each of every run; by default 50")
    command.add_argument("--seed", type=int, default=0, help="of the choice and of the order")
    command.add_argument("--with-reference", action="store_true", help="show the right answer too")
    command.add_argument(
        "--import", dest="sheets", action="append", default=[], metavar="FILE", help="a rated sheet; one an annotator"
    )
    command.add_argument("--key", metavar="FILE", help="of the sheets, where it is not beside the first")


def _add_vocabulary(command: argparse.ArgumentParser) -> None:
    command.add_argument("card", metavar="CARD", help="a card's name or file; its training molecules are counted")
    command.add_argument(
        "--released", action="store_true", help="CARD is the vocab.txt released with weights; its fragment.txt beside it, if any"
    )
    command.add_argument("--out", metavar="FILE", required=True, help="the vocabulary, as JSON")
    command.add_argument("--root", metavar="FOLDER", help="where the card's relative paths start")
    command.add_argument(
        "--min-frequency", type=int, default=100, metavar="N", help="keep a fragment whole that occurs so often (by default 100)"
    )
    command.add_argument(
        "--min-count", type=int, default=5, metavar="N", help="rarer attachments share one that is open everywhere (by default 5)"
    )
    command.add_argument("--max-atoms", type=int, default=100, metavar="N", help="leave larger molecules out (by default 100)")
    command.add_argument(
        "--reach", type=int, metavar="N", help="also say how many molecules under N heavy atoms perfect choices would write"
    )
    command.add_argument("--compat", action="store_true", help="decompose as 3M-Diffusion's released code does")
    command.add_argument("-j", "--workers", type=int, metavar="N", help="processes; by default one a core that it may use")


_ADD = {
    "fit": _add_run, "validate": _add_run, "test": _add_test, "predict": _add_predict, "prepare": _add_prepare,
    "sweep": _add_sweep, "report": _add_report, "export": _add_export, "explain": _add_explain,
    "embed": _add_embed, "retrieve": _add_retrieve, "caption": _add_caption, "annotate": _add_annotate,
    "generate": _add_generate, "cards": _add_cards, "rescore": _add_rescore, "vocabulary": _add_vocabulary,
    "import": _add_import,
}  # fmt: skip


def split_overrides(command: argparse.ArgumentParser, words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The words argparse knows, and the overrides as `key=value`: any other `--key value`, `--key=value`, `key=value`.

    Raises:
        ValueError: an override without a value.
    """
    known: list[str] = []
    overrides: list[str] = []
    rest = list(words)
    strings = bool(command.get_default("strings"))
    while rest:
        word = rest.pop(0)
        option = word.partition("=")[0]
        action = command._option_string_actions.get(option)
        if word == "--" and strings:
            return [*known, word, *rest], overrides
        if action is not None or word == "--":
            known.append(word)
            if action is not None and action.nargs != 0 and "=" not in word and rest:
                known.append(rest.pop(0))
        elif not word.startswith("-"):
            (overrides if "=" in word and not strings else known).append(word)
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
    # Read when torch is loaded. Threads that wait for each other by spinning take the core that the other needs: with another
    # process on the machine a step of two threads took three to four times as long.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    module, function = COMMANDS[arguments.command][0].split(":")
    from molfusion.errors import reported

    return reported(lambda: getattr(importlib.import_module(module), function)(arguments), arguments.debug)


if __name__ == "__main__":
    sys.exit(main())

"""fit, validate, test, predict."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from molfusion.config import Composed, ConfigError, compose


def main(arguments: argparse.Namespace) -> int:
    config = composed(arguments)
    if arguments.print_config:
        import yaml

        print(yaml.safe_dump(config.tree, sort_keys=False, allow_unicode=True), end="")
        return 0
    from molfusion.commands.shown import table_at, watching
    from molfusion.nn.ranks import first_rank
    from molfusion.progress import bars, print_metrics
    from molfusion.reliance import reliance
    from molfusion.rows import write_rows
    from molfusion.runner import Run, run_folder
    from molfusion.trained.trained import of_config

    folder = run_folder(config, arguments.run)
    run = Run(config, folder, bars(), arguments.allow_import)
    if arguments.command == "fit":
        result = run.fit(Path(arguments.ckpt_path) if arguments.ckpt_path else None)
        if not first_rank():
            return 0
        print_metrics(result["metrics"], "test")
        print(f"\n{folder}: metrics.json, predictions.parquet, log.csv, encoder.yaml")
    elif arguments.command == "predict":
        out = table_at(arguments.out, folder / "predicted.parquet")
        asked = of_config(config, folder, arguments.ckpt_path or "best", arguments.allow_import)
        with watching() as asked.progress:
            write_rows(asked.predict(), out)
        print(out)
    else:
        split = "val" if arguments.command == "validate" else "test"
        metrics = run.evaluate(split, arguments.ckpt_path or "best")
        if first_rank():
            print_metrics(metrics, split)
        if getattr(arguments, "reliance", False):
            _print_reliance(metrics, reliance(run, checkpoint=arguments.ckpt_path or "best"))
    return 0


def _print_reliance(whole: dict[str, float], without: dict[str, dict[str, dict[str, float]]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("input", "shown instead", "score", "without it", "drop")
    for view, ways in without.items():
        for how, metrics in ways.items():
            before, after = whole["test/score"], metrics["test/score"]
            table.add_row(view, how, f"{before:.4f}", f"{after:.4f}", f"{before - after:+.4f}")
    Console().print(table)


def composed(arguments: argparse.Namespace) -> Composed:
    """From --config files and overrides; without a file, from the run's own config."""
    files = list(arguments.config)
    run = getattr(arguments, "run", None)
    if not files and run and (Path(run) / "config.yaml").is_file():
        files = [Path(run) / "config.yaml"]
    if not files:
        raise ConfigError("give at least one --config FILE (see experiments/), or --run with the folder of a run")
    return compose(files, arguments.overrides)


if __name__ == "__main__":
    sys.exit("run it as `molfusion fit`")

"""Molecules for a text: sampled, valid, no two alike, the fitting ones first; as a table, SMILES and a picture."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from molfusion.config import ConfigError

if TYPE_CHECKING:
    from molfusion.tasks.generation import Generation
    from molfusion.trained.generating import Answer


def main(arguments: argparse.Namespace) -> int:
    from molfusion.commands.shown import lines_of

    prompts = [*arguments.prompts, *(line for file in arguments.texts for line in lines_of(Path(file)))]
    if not prompts:
        raise ConfigError('nothing to generate from: give a prompt in quotes ("" is one too), or --texts FILE with one a line')
    if arguments.count < 1:
        raise ConfigError(f"-n is {arguments.count}, expected at least 1")
    task = load(Path(arguments.run), arguments.checkpoint, arguments.allow_import)
    from molfusion.trained.generating import answer

    for name in ("steps", "guidance", "eta"):
        if (given := getattr(arguments, name)) is not None:
            setattr(task, name, given)
    if not 1 <= task.steps <= task.diffusion.steps:
        raise ConfigError(f"--steps is {task.steps}, expected 1 to {task.diffusion.steps}, as this model was trained")
    answers = [answer(task, prompt, arguments.count, arguments.seed) for prompt in prompts]
    out = Path(arguments.out) if arguments.out else Path(arguments.run) / "generated"
    for number, (prompt, found) in enumerate(zip(prompts, answers, strict=True), 1):
        _tell(number, prompt, found, arguments.count)
    for path in write(prompts, answers, out):
        print(path)
    return 0


def load(folder: Path, checkpoint: str, allowed: list[str]) -> Generation:
    """The run's task with its weights, on the CPU.

    Raises:
        ConfigError: not a run.
        NotApplicable: one that generates nothing.
    """
    from molfusion.trained import load as loaded
    from molfusion.trained.generating import ready
    from molfusion.trained.trained import of_run

    of_run(folder)
    return ready(loaded(folder, checkpoint, allowed=allowed))


def write(prompts: list[str], answers: list[Answer], out: Path) -> list[Path]:
    """`molecules.parquet`, `molecules.smi`, and of each prompt with an answer `grid-<number>.png` and `.svg`."""
    from molfusion.commands.shown import draw
    from molfusion.paths import atomic
    from molfusion.rows import write_rows
    from molfusion.trained.generating import rows as rows_of

    out.mkdir(parents=True, exist_ok=True)
    rows = rows_of(prompts, answers)
    written = [out / "molecules.smi"]
    with atomic(written[0]) as path:
        path.write_text("".join(f"{row['smiles']}\t{row['prompt_number']}-{row['rank']}\n" for row in rows))
    if rows:
        written.append(out / "molecules.parquet")
        write_rows(rows, written[-1])
    for number, found in enumerate(answers, 1):
        if found.made:
            legends = ["" if m.similarity is None else f"{m.similarity:.2f}" for m in found.made]
            written += draw([m.smiles for m in found.made], legends, out / f"grid-{number}")
    return written


def _tell(number: int, prompt: str, found: Answer, wanted: int) -> None:
    from molfusion.tasks.generation import clean_text

    shown = " ".join(clean_text(prompt).split())
    print(f"{number}. {shown[:77]}{'…' if len(shown) > 77 else ''}")
    for made in found.made:
        print(f"   {'' if made.similarity is None else f'{made.similarity:6.3f}  '}{made.smiles}")
    print(f"   {len(found.made)} of {wanted} wanted: {found.valid} of {found.drawn} samples are molecules\n")

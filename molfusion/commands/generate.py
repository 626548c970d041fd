"""Molecules for a text: sampled, valid, no two alike, the fitting ones first; as a table, SMILES and a picture."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from molfusion.config import ConfigError, compose

if TYPE_CHECKING:
    from molfusion.tasks.generation import Generation

_ROUNDS = 8  # of sampling, until there are enough that are valid and distinct


class Made(NamedTuple):
    """One molecule for one prompt."""

    smiles: str
    similarity: float | None  # with the prompt, in the aligned space; None: the run has no `judge`, or it cannot read it


class Answer(NamedTuple):
    """What came of one prompt."""

    made: list[Made]
    drawn: int  # samples
    valid: int  # of them


def main(arguments: argparse.Namespace) -> int:
    prompts = [*arguments.prompts, *(line for file in arguments.texts for line in _lines(Path(file)))]
    if not prompts:
        raise ConfigError('nothing to generate from: give a prompt in quotes ("" is one too), or --texts FILE with one a line')
    if arguments.count < 1:
        raise ConfigError(f"-n is {arguments.count}, expected at least 1")
    task = load(Path(arguments.run), arguments.checkpoint, arguments.allow_import)
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
        ConfigError: not a run, or one that generates nothing.
    """
    if not (folder / "config.yaml").is_file():
        raise ConfigError(f"{folder} is not the folder of a run: it has no config.yaml")
    from molfusion.build import build
    from molfusion.export import load_task
    from molfusion.runner import Run, on_one_device
    from molfusion.tasks.generation import Generation

    config = compose([folder / "config.yaml"])
    path = Run(config, folder).checkpoint(checkpoint)
    here = on_one_device(config, accelerator="cpu", precision="32-true")
    here.tree["trainer"] |= {"logger": False}
    task = build(here, folder, (), allowed).task
    if not isinstance(task, Generation):
        raise ConfigError(f"{folder} is a run of {type(task).__name__}; generate needs one of Generation")
    if task.way_back is None:
        raise ConfigError(f"{folder} was trained on latents without a decoder: train on those of an Autoencoder")
    load_task(task, path)
    task.eval()
    return task


def answer(task: Generation, prompt: str, count: int, seed: int) -> Answer:
    """Up to `count` distinct molecules for one prompt, the most similar first (in order of appearance without a judge)."""
    from molfusion.chem.parse import canonical
    from molfusion.chem.similarity import molecule

    context = task.prompted([prompt])
    found: dict[str, None] = {}
    drawn = valid = 0
    for turn in range(_ROUNDS):
        (made,) = task.generate(context, 1, count, seed=seed * _ROUNDS + turn)
        drawn += len(made)
        for mol in map(molecule, made):
            if mol is not None:
                valid += 1
                found[canonical(mol)] = None
        if len(found) >= count:
            break
    kept = list(found)[:count]
    alike = task.fits(context[0], kept) if context is not None else [None] * len(kept)
    order = sorted(range(len(kept)), key=lambda i: -(alike[i] if alike[i] is not None else -2.0))  # type: ignore[operator]
    return Answer([Made(kept[i], alike[i]) for i in order], drawn, valid)


def write(prompts: list[str], answers: list[Answer], out: Path) -> list[Path]:
    """`molecules.parquet`, `molecules.smi`, and of each prompt with an answer `grid-<number>.png` and `.svg`."""
    from molfusion.chem.grid import draw_grid
    from molfusion.paths import atomic
    from molfusion.rows import write_rows
    from molfusion.tasks.generation import clean_text

    out.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = [
        {"prompt_number": n, "prompt": clean_text(prompt), "rank": rank, **made._asdict()}
        for n, (prompt, found) in enumerate(zip(prompts, answers, strict=True), 1)
        for rank, made in enumerate(found.made, 1)
    ]
    written = [out / "molecules.smi"]
    with atomic(written[0]) as path:
        path.write_text("".join(f"{row['smiles']}\t{row['prompt_number']}-{row['rank']}\n" for row in rows))
    if rows:
        written.append(out / "molecules.parquet")
        write_rows(rows, written[-1])
    for number, found in enumerate(answers, 1):
        if not found.made:
            continue
        legends = ["" if m.similarity is None else f"{m.similarity:.2f}" for m in found.made]
        png, svg = draw_grid([m.smiles for m in found.made], legends)
        for suffix, content in ((".png", png), (".svg", svg.encode())):
            written.append(out / f"grid-{number}{suffix}")
            with atomic(written[-1]) as path:
                path.write_bytes(content)
    return written


def _tell(number: int, prompt: str, found: Answer, wanted: int) -> None:
    from molfusion.tasks.generation import clean_text

    shown = " ".join(clean_text(prompt).split())
    print(f"{number}. {shown[:77]}{'…' if len(shown) > 77 else ''}")
    for made in found.made:
        print(f"   {'' if made.similarity is None else f'{made.similarity:6.3f}  '}{made.smiles}")
    print(f"   {len(found.made)} of {wanted} wanted: {found.valid} of {found.drawn} samples are molecules\n")


def _lines(file: Path) -> list[str]:
    """One prompt a line; empty lines count for nothing here."""
    if not file.is_file():
        raise ConfigError(f"no text file {file}")
    return [line for line in file.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]

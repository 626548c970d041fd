"""What a user holds after training: `molfusion.load("runs/x")`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import lightning as L

from molfusion.batch import Record
from molfusion.build import build
from molfusion.config import Composed, ConfigError, compose
from molfusion.data.asked import Asked, Edit
from molfusion.data.datamodule import MoleculeData
from molfusion.encoders.base import Encoder, Frozen, NotApplicable, load_pretrained
from molfusion.export import load_task
from molfusion.grounding.answers import Answers
from molfusion.grounding.attribution import Method
from molfusion.runner import Run, on_one_device
from molfusion.tasks.base import Task
from molfusion.trained import captioning, embedding, explaining, finding, generating
from molfusion.trained.asking import Asker, Progress, Rows
from molfusion.views.base import View

Molecules = Sequence[str] | str | Path | None
T = TypeVar("T", bound=Task)

_BASE = "experiments/base.yaml"  # for an encoder, which has no run around it


def load(
    path: str | Path,
    checkpoint: str = "best",
    accelerator: str = "cpu",
    precision: Any = "32-true",
    overrides: Sequence[str] = (),
    allowed: Sequence[str] = (),
) -> Trained:
    """A trained run, or one of the encoders that it exported.

    Args:
        path: the run's folder, or its encoder.yaml.
        checkpoint: `best`, `last` or a file; an encoder has its own weights.
        accelerator: as of Lightning's Trainer: `cpu`, `gpu`, `auto`.
        precision: likewise: `32-true`, `bf16-mixed`.
        overrides: of the config, as on the command line: `data.batch_size=256`.
        allowed: import prefixes beyond the trusted ones.

    Raises:
        ConfigError: neither a run nor an encoder, no such checkpoint, or a wrong override.
    """
    path = Path(path)
    settings = [f"trainer.accelerator={accelerator}", f"trainer.precision={precision}", *overrides]
    if path.suffix in {".yaml", ".yml"}:
        return _encoder(path, settings, allowed)
    return of_config(of_run(path, settings), path, checkpoint, allowed)


def of_config(config: Composed, folder: Path, checkpoint: str, allowed: Sequence[str] = ()) -> Trained:
    """A run by its config, which says on which device and how exactly it computes."""
    config = on_one_device(config, logger=False)
    trainer, task, data = build(_without_card(config), folder, (), allowed)
    load_task(task, Run(config, folder).checkpoint(checkpoint))
    return Trained(folder, checkpoint, config, trainer, task, data, allowed)


def of_run(folder: Path, overrides: Sequence[str] = ()) -> Composed:
    """The config of a run's folder.

    Raises:
        ConfigError: it is not the folder of a run.
    """
    if not (folder / "config.yaml").is_file():
        raise ConfigError(f"{folder} is not the folder of a run: it has no config.yaml")
    return compose([folder / "config.yaml"], overrides)


def _encoder(path: Path, settings: Sequence[str], allowed: Sequence[str]) -> Trained:
    """An encoder alone, in the place of a task's."""
    fragment = compose([path])
    base = compose([_BASE], settings)
    model = {"class_path": "molfusion.tasks.Property", "init_args": {"encoder": fragment.tree}}
    inside = {f"model.init_args.encoder.{key}": file for key, file in fragment.origin.items()}
    config = on_one_device(Composed({**base.tree, "model": model}, {**base.origin, **inside}), logger=False)
    trainer, task, data = build(_without_card(config), path.parent, (), allowed)
    load_pretrained(task)
    return Trained(path, "", config, trainer, task.exports()["encoder"], data, allowed)


def _without_card(config: Composed) -> Composed:
    """The card that was trained on may be gone: it matters only when nothing else is asked about."""
    data = {**(config.tree.get("data") or {}), "card": "demo", "root": None, "population": None, "targets": None}
    return Composed({**config.tree, "data": data}, config.origin)


class Trained:
    """A trained model and all that it can be asked.

    Molecules are a list of SMILES, the name or path of a card, or a plain file of molecules (.smi, .csv, .sdf, …); None is
    the run's own card. Answers are rows, one a molecule in the order given, also of those that cannot be read: `row` is the
    molecule's number in the list or the file, from 1 (a header is not counted); `problem` is "" or says why there is no answer.
    """

    def __init__(
        self,
        path: Path,
        checkpoint: str,
        config: Composed,
        trainer: L.Trainer,
        model: Task | Encoder,
        data: MoleculeData,
        allowed: Sequence[str] = (),
    ) -> None:
        self.path, self.checkpoint, self.config, self.trainer, self.allowed = path, checkpoint, config, trainer, allowed
        self.model, self.data = model.eval(), data
        self.progress: Progress | None = None  # told now and then of long work

    def predict(self, molecules: Molecules = None) -> Rows:
        """What the task says of each molecule: a column a target (`Property`), `text` (`Captioning`), both sides' vectors
        (`Retrieval`).

        Raises:
            NotApplicable: the task predicts nothing.
        """
        task = self.whole("predict")
        if type(task).predictions is Task.predictions:
            raise NotApplicable(f"{type(task).__name__} predicts nothing of new molecules")
        return self.asker().molecules(self.asked(molecules, task.views), task.predictions)

    def embed(self, molecules: Molecules = None) -> Rows:
        """`vector` of each molecule: in the shared space of a `Retrieval` (unit norm; the mean where a molecule has several,
        as of a `QFormer`), else the mean of the encoder's tokens.

        Raises:
            NotApplicable: this encoder reads texts.
        """
        return embedding.molecules(self, molecules)

    def embed_texts(self, texts: Sequence[str]) -> Rows:
        """`vector` of each text in the shared space of a `Retrieval` (unit norm), or by an exported text encoder.

        Raises:
            NotApplicable: there is no text side.
        """
        return embedding.texts(self, texts)

    def retrieve(
        self,
        queries: Sequence[str],
        k: int = 10,
        among: Molecules = None,
        read_as: finding.ReadAs = "auto",
        rerank: int = 0,
    ) -> Rows:
        """Of each query its `k` nearest: molecules for a text, texts for a molecule.

        Args:
            queries: texts and SMILES.
            k: how many of each.
            among: where to look; the texts are those of a card.
            read_as: `text` or `smiles`; `auto` tells by the query and says in `read_as` what it took it for.
            rerank: order the best so many by the matching head too (cosine + logit); 0: by the cosine alone.

        Raises:
            NotApplicable: no `Retrieval`, or one without a matching head is to re-rank.
        """
        return finding.retrieve(self, queries, k, among, read_as, rerank)

    def caption(self, molecules: Molecules = None, prompt: str | None = None) -> Rows:
        """`text` that the language model says of each molecule.

        Args:
            molecules: to describe.
            prompt: the question, instead of the run's own and the card's; with {molecule} in it, the whole template.

        Raises:
            NotApplicable: no `Captioning`, or its template has no place for a question.
        """
        return captioning.caption(self, molecules, prompt)

    def generate(
        self,
        texts: Sequence[str],
        count: int = 20,
        seed: int = 0,
        timeout: float = 120.0,
        steps: int | None = None,
        guidance: float | None = None,
        eta: float | None = None,
    ) -> Rows:
        """Distinct molecules for each text, a row each, the most fitting first: `prompt`, `rank`, `smiles`, `similarity`,
        and of the prompt how many `samples` were drawn and how many of them are `valid`.

        A prompt without a molecule, or with fewer than wanted, has a row (more) that says why in `problem`: its time ran out,
        or its samples are no molecules or all alike.

        Args:
            texts: what the molecules should be.
            count: of molecules wanted for each.
            seed: of the noise: the same seed gives the same molecules, whatever else is asked, unless time runs out.
            timeout: seconds for each text; what is complete by then is kept.
            steps: of sampling, instead of the run's.
            guidance: likewise; 1 follows the text, 0 does not look at it.
            eta: likewise; 1 is ancestral sampling, 0 DDIM.

        Raises:
            NotApplicable: no `Generation` that has a decoder.
            ConfigError: a number that is out of bounds.
        """
        return generating.generate(self, texts, count, seed, timeout, steps=steps, guidance=guidance, eta=eta)

    def explain(
        self,
        molecules: Molecules = None,
        ids: Sequence[str] = (),
        most: int = 8,
        split: str = "test",
        method: Method = "gradient",
        answers: Answers | None = None,
        text: str | None = None,
        out: str | Path | None = None,
    ) -> Rows:
        """Which atoms and parts of the picture an answer rests on: `atoms` (a weight each, in the order of `smiles`),
        `shells` (of E3FP tokens) and `pictures`, `rightness` (what was taken apart), and the file name of a `drawing`.

        Args:
            molecules: to explain; None: some of the run's own, with their right answers.
            ids: of the run's own; else the first ones of the split.
            most: how many of those.
            split: `val` or `test`.
            method: `gradient`, or what queries or a picture's tokens read (`attention`).
            answers: those `given` with the molecules, or the model's own, `generated`: the caption it writes, the values
                it predicts. By default given of the run's own and where there is nothing else (`Retrieval`, or `text`).
            text: the right text of every molecule, for `Captioning` and `Retrieval`.
            out: folder of the drawings; by default explain/ in the run's, or explained/ for other molecules.

        Raises:
            NotApplicable: no encoder has tokens that stand for atoms, or the model has no such answers.
            ConfigError: no such molecule in the split, or settings that exclude each other.
        """
        folder = Path(out) if out is not None else self.path / ("explain" if molecules is None else "explained")
        return explaining.explain(self, molecules, ids, most, split, method, answers, text, folder)

    # -- for the files beside this one ---------------------------------------------------------------

    def task(self, kind: type[T], verb: str) -> T:
        """The task, if it is of this kind."""
        if not isinstance(self.model, kind):
            what = f"a run of {type(self.model).__name__}" if isinstance(self.model, Task) else "an encoder alone"
            raise NotApplicable(f"{self.path} is {what}; {verb} needs one of {kind.__name__}")
        return self.model

    def whole(self, verb: str) -> Task:
        """The task, whatever it is."""
        if not isinstance(self.model, Task):
            raise NotApplicable(f"{self.path} is an encoder alone; {verb} needs the folder of a run")
        return self.model

    @property
    def encoder(self) -> Encoder:
        """The encoder of molecules, its weights and nothing around it: cached tokens know no new molecules."""
        found = self.model.exports()["encoder"] if isinstance(self.model, Task) else self.model
        while isinstance(found, Frozen):
            found = found.encoder
        return found

    def asker(self) -> Asker:
        """The model on its device."""
        return Asker(self.model, self.trainer, self.progress)

    def asked(
        self,
        which: Molecules,
        views: frozenset[View],
        edit: Edit | None = None,
        unfit: Callable[[Record], str] | None = None,
        **more: Any,
    ) -> Asked:
        """Molecules under some views."""
        names = ("batch_size", "workers", "prepare_workers", "timeout")
        settings: dict[str, Any] = {**{name: getattr(self.data, name) for name in names}, "cache": str(self.data.cache)}
        settings |= {"edit": edit, "unfit": unfit, **more}
        own = self.config.tree.get("data") or {}
        card = str(own.get("card", "demo"))
        if which is None or which == card:
            return Asked(card, views, root=own.get("root"), max_heavy_atoms=own.get("max_heavy_atoms"), **settings)
        if isinstance(which, str | Path):
            return Asked(str(which), views, **settings)
        return Asked("", views, list(which), **settings)

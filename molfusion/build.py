"""A composed config as live objects: trainer, task and data, typed and checked by LightningCLI."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

import lightning as L
from lightning.pytorch.cli import LightningCLI
from lightning.pytorch.loggers import TensorBoardLogger

from molfusion.callbacks import AtomicCheckpoints, RunLog
from molfusion.config import Composed
from molfusion.data.datamodule import MoleculeData
from molfusion.errors import MolfusionError
from molfusion.explain import check_names, explain
from molfusion.tasks.base import Task

SECTIONS = {"seed_everything": None, "trainer": L.Trainer, "model": None, "data": MoleculeData}


class Built(NamedTuple):
    """What a config describes."""

    trainer: L.Trainer
    task: Task
    data: MoleculeData


class _CLI(LightningCLI):
    """LightningCLI as parser and factory only; the data are told which views the model reads."""

    def add_arguments_to_parser(self, parser: Any) -> None:
        parser.link_arguments("model.views", "data.views", apply_on="instantiate")

    def _dump_config(self) -> None:
        """Not what it was given once more as YAML, for `save_hyperparameters`: a quarter of the time, and config.yaml has it."""
        self.config_dump: dict[str, Any] = {}

    def instantiate_trainer(self, **kwargs: Any) -> L.Trainer:
        given = self._get(self.config_init, "trainer")
        if given.get("logger") in (None, True):
            root = given["default_root_dir"]
            kwargs["logger"] = [RunLog(root), TensorBoardLogger(root, name="", version="tensorboard")]
        kwargs["plugins"] = [AtomicCheckpoints()]
        return super().instantiate_trainer(**kwargs)


def build(
    config: Composed, folder: Path, callbacks: Sequence[L.Callback] = (), allowed: Sequence[str] = ()
) -> Built:
    """Trainer, task and data of a config.

    Args:
        config: composed.
        folder: of the run; logs and checkpoints go there.
        callbacks: beside those in the config.
        allowed: import prefixes beyond the trusted ones.

    Raises:
        ConfigError: one line a mistake, with file and key.
        NotApplicable: the task cannot be done with this encoder.
    """
    _quiet()
    check_names(config, SECTIONS, allowed)
    tree = deepcopy(config.tree)  # the parser changes what it is given
    tree["trainer"] = {**tree.get("trainer", {}), "default_root_dir": str(folder)}
    try:
        cli = _CLI(
            Task,
            MoleculeData,
            subclass_mode_model=True,
            run=False,
            args=tree,
            save_config_callback=None,
            auto_configure_optimizers=False,
            seed_everything_default=0,
            trainer_defaults={
                "callbacks": list(callbacks),
                "use_distributed_sampler": False,  # the batch order shares the molecules out itself
                "num_sanity_val_steps": 0,
                "enable_model_summary": False,
                "enable_checkpointing": any(isinstance(c, L.pytorch.callbacks.ModelCheckpoint) for c in callbacks),
                "enable_progress_bar": any(isinstance(c, L.pytorch.callbacks.ProgressBar) for c in callbacks),
            },
            parser_kwargs={"exit_on_error": False},
        )
    except Exception as error:
        raise _ours(error) or explain(config, error) from error
    return Built(cli.trainer, cli.model, cli.datamodule)


def _ours(error: BaseException | None) -> MolfusionError | None:
    """What a module of molfusion said, out of the parser's account of everything it tried."""
    while error is not None and not isinstance(error, MolfusionError):
        error = error.__cause__ or error.__context__
    return error


def _quiet() -> None:
    """Silence what Lightning says to people who configure it themselves."""
    import logging

    for name in ("utilities.rank_zero", "trainer.connectors.checkpoint_connector"):
        logging.getLogger(f"lightning.pytorch.{name}").setLevel(logging.WARNING)
    logging.getLogger("lightning.fabric.utilities.seed").setLevel(logging.WARNING)
    for pattern in (
        ".*does not have many workers.*",
        ".*`LightningCLI`'s args parameter.*",
        ".*LightningCLI's args parameter.*",
        ".*The number of training batches.*smaller than the logging interval.*",
        ".*Checkpoint directory.*exists and is not empty.*",
        ".*in eval mode at the start of training.*",
        ".*torch.jit.script.*",
        ".*isinstance\\(treespec, LeafSpec\\).*",
        ".*module\\(s\\) in eval mode.*",
        ".*GPU available but not used.*",
        ".*when logging on epoch level in distributed setting.*",  # every rank has computed the same metrics
    ):
        warnings.filterwarnings("ignore", pattern)

"""Small configs for tasks, through the same composition and build that a user gets."""

from pathlib import Path

from molfusion.config import compose
from molfusion.runner import Run

FINGERPRINT = {
    "class_path": "molfusion.encoders.Fingerprint",
    "init_args": {"dim": 32, "hidden": 64, "bits": 256, "dropout": 0.0},
}
UNIMOL = {
    "class_path": "molfusion.encoders.UniMol",
    "init_args": {"dim": 32, "layers": 2, "ffn": 64, "heads": 4, "kernels": 16, "reach": 8.0, "dropout": 0.1},
}
TEXT = {"class_path": "molfusion.encoders.TextEncoder", "init_args": {"dim": 32, "layers": 1, "heads": 2}}
QFORMER = {
    "class_path": "molfusion.fusion.QFormer",
    "init_args": {"encoder": FINGERPRINT, "queries": 2, "dim": 32, "layers": 1, "heads": 2, "ffn": 64, "width": 16},
}


def config(card, task, lr=3e-3, epochs=3, batch=8, overrides=(), **arguments):
    """A config for `molfusion.tasks.<task>` on a card."""
    tree = {
        "seed_everything": 0,
        "trainer": {"accelerator": "cpu", "devices": 1, "max_epochs": epochs, "log_every_n_steps": 1},
        "model": {
            "class_path": f"molfusion.tasks.{task}",
            "init_args": {**arguments, "optimizer": {"class_path": "torch.optim.AdamW", "init_args": {"lr": lr}}},
        },
        "data": {"card": str(card), "batch_size": batch, "seed": 0},
    }
    return compose([], [*tree.items(), *overrides])


def fit(folder: Path, *arguments, **settings):
    return Run(config(*arguments, **settings), folder).fit()

"""molfusion: does this way of fusing molecular modalities help, by how much, at what cost?

Names load when they are first asked for, so that `import molfusion` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from molfusion.batch import MoleculeBatch, Record, Tokens
    from molfusion.data import MoleculeData, load_card
    from molfusion.encoders import GIN, Encoder, Fingerprint, Frozen, TextEncoder, UniMol, restore
    from molfusion.fusion import QFormer
    from molfusion.strategies import QFormerProjection
    from molfusion.tasks import Pretraining, Property, Retrieval

_HOME = {
    "MoleculeBatch": "batch", "Record": "batch", "Tokens": "batch",
    "MoleculeData": "data", "load_card": "data",
    "Encoder": "encoders", "Fingerprint": "encoders", "Frozen": "encoders", "GIN": "encoders",
    "TextEncoder": "encoders", "UniMol": "encoders", "restore": "encoders",
    "QFormer": "fusion",
    "QFormerProjection": "strategies",
    "Pretraining": "tasks", "Property": "tasks", "Retrieval": "tasks",
}  # fmt: skip

__all__ = [
    "GIN",
    "Encoder",
    "Fingerprint",
    "Frozen",
    "MoleculeBatch",
    "MoleculeData",
    "Pretraining",
    "Property",
    "QFormer",
    "QFormerProjection",
    "Record",
    "Retrieval",
    "TextEncoder",
    "Tokens",
    "UniMol",
    "load_card",
    "restore",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'molfusion' has no attribute {name!r}")
    return getattr(import_module(f"molfusion.{_HOME[name]}"), name)

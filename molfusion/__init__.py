"""molfusion: does this way of fusing molecular modalities help, by how much, at what cost?

Names load when they are first asked for, so that `import molfusion` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from molfusion.batch import MoleculeBatch, Record, Tokens
    from molfusion.data import MoleculeData, load_card
    from molfusion.encoders import GIN, Encoder, Fingerprint, Frozen, MoleBlend, TextEncoder, UniMol, restore
    from molfusion.fusion import CrossAttention, QFormer
    from molfusion.language import LanguageModel
    from molfusion.strategies import CrossAttentionFusion, LatentDiffusion, QFormerCaptioning, QFormerProjection, RelationBlending
    from molfusion.tasks import Captioning, Generation, Pretraining, Property, Retrieval
    from molfusion.trained import Trained, load

_HOME = {
    "MoleculeBatch": "batch", "Record": "batch", "Tokens": "batch",
    "MoleculeData": "data", "load_card": "data",
    "Encoder": "encoders", "Fingerprint": "encoders", "Frozen": "encoders", "GIN": "encoders", "MoleBlend": "encoders",
    "TextEncoder": "encoders", "UniMol": "encoders", "restore": "encoders",
    "CrossAttention": "fusion", "QFormer": "fusion",
    "CrossAttentionFusion": "strategies",
    "LanguageModel": "language", "Captioning": "tasks",
    "QFormerCaptioning": "strategies", "QFormerProjection": "strategies", "RelationBlending": "strategies",
    "Generation": "tasks", "LatentDiffusion": "strategies",
    "Pretraining": "tasks", "Property": "tasks", "Retrieval": "tasks",
    "Trained": "trained", "load": "trained",
}  # fmt: skip

__all__ = [
    "GIN",
    "Captioning",
    "CrossAttention",
    "CrossAttentionFusion",
    "Encoder",
    "Fingerprint",
    "Frozen",
    "Generation",
    "LanguageModel",
    "LatentDiffusion",
    "MoleBlend",
    "MoleculeBatch",
    "MoleculeData",
    "Pretraining",
    "Property",
    "QFormer",
    "QFormerCaptioning",
    "QFormerProjection",
    "Record",
    "RelationBlending",
    "Retrieval",
    "TextEncoder",
    "Tokens",
    "Trained",
    "UniMol",
    "load",
    "load_card",
    "restore",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'molfusion' has no attribute {name!r}")
    return getattr(import_module(f"molfusion.{_HOME[name]}"), name)

"""Everything that reads a molecule."""

from molfusion.encoders.base import Aligned, Encoder, Frozen, Objective, merge_views, restore
from molfusion.encoders.cached import CachedTokens
from molfusion.encoders.fingerprint import Fingerprint
from molfusion.encoders.gin import GIN
from molfusion.encoders.text import TextEncoder
from molfusion.encoders.unimol import UniMol
from molfusion.encoders.unimol_pretraining import UniMolPretraining

__all__ = [
    "GIN",
    "Aligned",
    "CachedTokens",
    "Encoder",
    "Fingerprint",
    "Frozen",
    "Objective",
    "TextEncoder",
    "UniMol",
    "UniMolPretraining",
    "merge_views",
    "restore",
]

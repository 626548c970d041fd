"""Everything that reads a molecule."""

from molfusion.encoders.autoencoder import Autoencoder, Autoencoding
from molfusion.encoders.base import Aligned, Encoder, Frozen, Objective, merge_views, restore
from molfusion.encoders.cached import CachedTokens
from molfusion.encoders.deepencoder import DeepEncoder
from molfusion.encoders.e3fp_tokens import E3FPTokens
from molfusion.encoders.fingerprint import Fingerprint
from molfusion.encoders.gin import GIN
from molfusion.encoders.hier import HierEncoder
from molfusion.encoders.moleblend import MoleBlend, only_relations
from molfusion.encoders.moleblend_contrast import MoleBlendContrast
from molfusion.encoders.moleblend_pretraining import MoleBlendPretraining
from molfusion.encoders.nothing import Nothing
from molfusion.encoders.projection import Projection
from molfusion.encoders.text import TextEncoder
from molfusion.encoders.unimol import UniMol
from molfusion.encoders.unimol_pretraining import UniMolPretraining

__all__ = [
    "GIN",
    "Aligned",
    "Autoencoder",
    "Autoencoding",
    "CachedTokens",
    "DeepEncoder",
    "E3FPTokens",
    "Encoder",
    "Fingerprint",
    "Frozen",
    "HierEncoder",
    "MoleBlend",
    "MoleBlendContrast",
    "MoleBlendPretraining",
    "Nothing",
    "Objective",
    "Projection",
    "TextEncoder",
    "UniMol",
    "UniMolPretraining",
    "merge_views",
    "only_relations",
    "restore",
]

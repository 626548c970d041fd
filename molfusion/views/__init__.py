"""Which arrays an encoder reads, and how they pad: one file a view."""

from molfusion.views.base import View, ViewError
from molfusion.views.conformer import Conformers, ConformerView
from molfusion.views.fingerprint import Fingerprints, FingerprintView
from molfusion.views.graph import GraphView
from molfusion.views.text import Texts, TextView

__all__ = [
    "ConformerView",
    "Conformers",
    "FingerprintView",
    "Fingerprints",
    "GraphView",
    "TextView",
    "Texts",
    "View",
    "ViewError",
]

"""Which arrays an encoder reads, and how they pad: one file a view."""

from molfusion.views.base import View, ViewError
from molfusion.views.conformer import Conformers, ConformerView
from molfusion.views.e3fp import E3FPView, ShellTokens
from molfusion.views.fingerprint import Fingerprints, FingerprintView
from molfusion.views.graph import GraphView
from molfusion.views.image import Images, ImageView
from molfusion.views.motif_graph import MotifGraphs, MotifGraphView
from molfusion.views.motifs import MotifSteps, MotifView
from molfusion.views.optional_conformer import OptionalConformerView
from molfusion.views.relations import Relations, RelationsView
from molfusion.views.selfies import SelfiesView
from molfusion.views.text import Texts, TextView
from molfusion.views.tokens import StoredTokens, TokensView

__all__ = [
    "ConformerView",
    "Conformers",
    "E3FPView",
    "FingerprintView",
    "Fingerprints",
    "GraphView",
    "ImageView",
    "Images",
    "MotifGraphView",
    "MotifGraphs",
    "MotifSteps",
    "MotifView",
    "OptionalConformerView",
    "Relations",
    "RelationsView",
    "SelfiesView",
    "ShellTokens",
    "StoredTokens",
    "TextView",
    "Texts",
    "TokensView",
    "View",
    "ViewError",
]

"""Which atoms and which parts of the picture an answer rests on, and whether that is so."""

from molfusion.grounding.attribution import Grounding, ground
from molfusion.grounding.deletion import Deletion, delete
from molfusion.grounding.watch import Watch

__all__ = ["Deletion", "Grounding", "Watch", "delete", "ground"]

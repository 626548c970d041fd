"""A run after training: asked for vectors, neighbours, captions, molecules, predictions and explanations."""

from molfusion.trained.trained import Trained, load

__all__ = ["Trained", "load"]

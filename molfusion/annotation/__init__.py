"""Predictions of several runs on one blinded sheet, for people to rate, and the ratings back."""

from molfusion.annotation.ratings import take
from molfusion.annotation.sheet import make

__all__ = ["make", "take"]

"""Latents to molecules."""

from molfusion.decoders.base import LatentDecoder
from molfusion.decoders.hier import HierDecoder
from molfusion.decoders.selfies import SelfiesDecoder

__all__ = ["HierDecoder", "LatentDecoder", "SelfiesDecoder"]

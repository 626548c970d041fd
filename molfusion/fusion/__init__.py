"""Encoders made of encoders."""

from molfusion.fusion.cross_attention import CrossAttention
from molfusion.fusion.qformer import QFormer

__all__ = ["CrossAttention", "QFormer"]

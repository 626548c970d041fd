"""Encoders made of encoders."""

from molfusion.fusion.qformer import QFormer

__all__ = ["QFormer"]

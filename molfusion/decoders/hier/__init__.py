"""The hierarchical decoder: motif by motif."""

from molfusion.decoders.hier.decoder import HierDecoder

__all__ = ["HierDecoder"]

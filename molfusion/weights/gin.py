"""GIN of pretrain-gnns and of 3M-Diffusion."""

import torch
from torch import Tensor

from molfusion.weights.keys import Converted, Rule, convert

RULES = [
    Rule(r"x_embedding1\.weight", "element.weight"),
    Rule(r"x_embedding2\.weight", "chirality.weight"),
    Rule(r"gnns\.(\d+)\.mlp\.(\d)\.(\w+)", r"layers.\1.mlp.\2.\3"),
    Rule(r"gnns\.(\d+)\.edge_embedding1\.weight", r"layers.\1.bond_type.weight"),
    Rule(r"gnns\.(\d+)\.edge_embedding2\.weight", r"layers.\1.bond_stereo.weight"),
    Rule(r"batch_norms\.(\d+)\.(\w+)", r"norms.\1.\2"),
]

# A layer's own key -> what it is.
_OTHERS = {"att": "GAT", "linear.weight": "GCN or GraphSAGE"}


def encoder_state(published: dict[str, Tensor], source: str) -> Converted:
    """Of a `GIN`. A checkpoint older than batch norm's counter has none; nothing reads it.

    Raises:
        ValueError: another network of pretrain-gnns, or another checkpoint altogether.
    """
    if kind := next((name for key, name in _OTHERS.items() if f"gnns.0.{key}" in published), None):
        raise ValueError(f"{source} is a {kind} of pretrain-gnns and no GIN, whose layers have gnns.0.mlp.0.weight")
    out = convert(published, RULES, source)
    for i in {key.split(".")[1] for key in out.state if key.startswith("norms.")}:
        out.state.setdefault(f"norms.{i}.num_batches_tracked", torch.tensor(0))
    return out

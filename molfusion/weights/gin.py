"""GIN of pretrain-gnns and of 3M-Diffusion."""

from molfusion.weights.keys import Rule

RULES = [
    Rule(r"x_embedding1\.weight", "element.weight"),
    Rule(r"x_embedding2\.weight", "chirality.weight"),
    Rule(r"gnns\.(\d+)\.mlp\.(\d)\.(\w+)", r"layers.\1.mlp.\2.\3"),
    Rule(r"gnns\.(\d+)\.edge_embedding1\.weight", r"layers.\1.bond_type.weight"),
    Rule(r"gnns\.(\d+)\.edge_embedding2\.weight", r"layers.\1.bond_stereo.weight"),
    Rule(r"batch_norms\.(\d+)\.(\w+)", r"norms.\1.\2"),
]

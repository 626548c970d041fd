"""Checks against 3M-Diffusion's official modules."""

import torch
from torch_geometric.data import Data

from molfusion.batch import MoleculeBatch
from molfusion.encoders.gin import GIN
from molfusion.nn.pooling import masked_mean
from molfusion.weights import gin
from molfusion.weights.keys import convert
from tests.parity.golden import Case, close, component

TOLERANCE = 1e-4


@component("3m-diffusion", "gin")
def gin_encoder(case: Case, tmp_path) -> None:
    c = case.config["config"]
    model = GIN(c["emb_dim"], c["num_layer"], c["drop_ratio"], compat=True).eval()
    model.load_state_dict(convert(case.weights(), gin.RULES, case.name).state)
    io = case.arrays("io")
    graph = Data(x=io["x"], edge_index=io["edge_index"], edge_attr=io["edge_attr"], batch=io["batch"])
    n = len(io["mask"])
    blank = [""] * n
    batch = MoleculeBatch(blank, blank, blank, blank, blank, blank, blank, torch.zeros(n, 0), {model.view: graph})
    tokens = model(batch)
    close(tokens.mask, io["mask"], "mask")
    close(tokens.x, io["nodes_eval"], "atoms", TOLERANCE)
    close(masked_mean(*tokens), io["pooled_eval"], "mean", TOLERANCE)
    model.train()
    tokens = model(batch)
    close(tokens.x, io["nodes_train"], "atoms, batch statistics", TOLERANCE)
    close(masked_mean(*tokens), io["pooled_train"], "mean, batch statistics", TOLERANCE)
    close(model.norms[0].running_mean, io["running_mean_0_after"], "running mean", TOLERANCE)
    close(model.norms[0].running_var, io["running_var_0_after"], "running variance", TOLERANCE)

"""GIN with edge features (Hu et al. 2020, "Strategies for pre-training graph neural networks"), as 3M-Diffusion uses it."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from torch_geometric.nn import MessagePassing
from torch_geometric.utils import to_dense_batch

from molfusion.batch import MoleculeBatch, Record, Tokens
from molfusion.chem.parse import parse
from molfusion.encoders.base import Encoder
from molfusion.views.graph import GraphView

_SELF_LOOP = 4  # its own bond type in the pretrained weights


class GINLayer(MessagePassing):  # type: ignore[misc]
    """h_i <- MLP(Σ_j (h_j + e_ij)), the atom itself among its neighbours."""

    def __init__(self, dim: int, self_loop: int) -> None:
        super().__init__(aggr="add")
        self.self_loop = self_loop
        self.mlp = nn.Sequential(nn.Linear(dim, 2 * dim), nn.ReLU(), nn.Linear(2 * dim, dim))
        self.bond_type = nn.Embedding(6, dim)
        self.bond_stereo = nn.Embedding(3, dim)
        for table in (self.bond_type, self.bond_stereo):
            nn.init.xavier_uniform_(table.weight)

    def forward(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Tensor:
        """x [ΣN, D], edge_index [2, ΣE], edge_attr [ΣE, 2] -> [ΣN, D]."""
        edges = self.bond_type(edge_attr[:, 0]) + self.bond_stereo(edge_attr[:, 1])
        loop = self.bond_type.weight[self.self_loop] + self.bond_stereo.weight[0]
        return cast(Tensor, self.mlp(self.propagate(edge_index, x=x, edges=edges) + x + loop))

    def message(self, x_j: Tensor, edges: Tensor) -> Tensor:
        """What one neighbour says."""
        return x_j + edges


class GIN(Encoder):
    """Atom tokens from message passing over the molecular graph; sees no geometry.

    Reads element, chirality tag, bond type and bond stereo. Published tables have three rows for chirality and for
    stereo: other tags count as none, cis/trans as Z/E.

    Args:
        compat: as 3M-Diffusion runs it, self loops look like single bonds; by default they have a type of their own.
    """

    stereo_rows: Tensor  # [7] RDKit's bond stereo -> row of its table

    def __init__(self, dim: int = 300, layers: int = 5, dropout: float = 0.0, compat: bool = False) -> None:
        super().__init__()
        self.dim, self.dropout = dim, dropout
        self.view = GraphView()
        self.views = frozenset({self.view})
        self.element = nn.Embedding(120, dim)
        self.chirality = nn.Embedding(3, dim)
        for table in (self.element, self.chirality):
            nn.init.xavier_uniform_(table.weight)
        self.layers = nn.ModuleList(GINLayer(dim, 0 if compat else _SELF_LOOP) for _ in range(layers))
        self.norms = nn.ModuleList(nn.BatchNorm1d(dim) for _ in range(layers))
        fold = torch.tensor([0, 1, 2, 1, 2, 0, 0])  # none, Z, E, cis, trans, any, misc
        self.register_buffer("stereo_rows", fold, persistent=False)

    def forward(self, batch: MoleculeBatch) -> Tokens:
        graph = batch[self.view]
        chirality = torch.where(graph.x[:, 1] < 3, graph.x[:, 1], 0)
        bonds = torch.stack([graph.edge_attr[:, 0].clamp(max=3), self.stereo_rows[graph.edge_attr[:, 1]]], dim=1)
        x = self.nodes(graph.x[:, 0], chirality, graph.edge_index, bonds)
        return Tokens(*to_dense_batch(x, graph.batch))

    def nodes(self, element: Tensor, chirality: Tensor, edge_index: Tensor, bonds: Tensor) -> Tensor:
        """Atom states [ΣN, D] from element (Z - 1), chirality tag, edges, and bonds [ΣE, 2] of type and stereo."""
        x = self.element(element) + self.chirality(chirality)
        for i, (layer, norm) in enumerate(zip(self.layers, self.norms, strict=True)):
            x = norm(layer(x, edge_index, bonds))
            if i < len(self.layers) - 1:
                x = F.relu(x)
            x = F.dropout(x, self.dropout, self.training)
        return cast(Tensor, x)

    def token_atoms(self, record: Record) -> NDArray[np.int64]:
        """[N] a token an atom, in the order of the SMILES."""
        return np.arange(parse(record.smiles).GetNumAtoms())

    @property
    def blocks(self) -> list[nn.Module]:
        return list(self.layers)

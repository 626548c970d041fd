"""The view `graph`: atoms and bonds, as a PyG batch, so that any PyG model is an encoder away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from molfusion.batch import Ragged, Record
from molfusion.chem.graph import graph
from molfusion.chem.parse import ChemError, parse
from molfusion.views.base import Features, View, ViewError, joined

if TYPE_CHECKING:
    from torch_geometric.data import Data


@dataclass(frozen=True)
class GraphView(View):
    """OGB's nine atom and three bond features.

    A batch is one `torch_geometric.data.Data` of all molecules: x [ΣN, 9], edge_index [2, ΣE],
    edge_attr [ΣE, 3], batch [ΣN] (molecule of each atom), ptr [B + 1].
    """

    def featurise(self, record: Record) -> Features:
        try:
            return graph(parse(record.smiles))._asdict()
        except ChemError as error:
            raise ViewError(str(error)) from error

    def collate(self, items: Sequence[Features]) -> Data:
        return self.collate_flat(joined(items))

    def collate_flat(self, fields: Mapping[str, Ragged]) -> Data:
        from torch_geometric.data import Data  # two seconds to import: only where graphs are read

        atoms, edges, bonds = fields["atoms"], fields["edges"], fields["bonds"]
        starts = atoms.starts()
        shifted = edges.flat + np.repeat(starts[:-1], edges.lengths)[:, None]
        return Data(
            x=torch.from_numpy(atoms.flat.astype(np.int64)),
            edge_index=torch.from_numpy(shifted.T.astype(np.int64)),
            edge_attr=torch.from_numpy(bonds.flat.astype(np.int64)),
            batch=torch.from_numpy(np.repeat(np.arange(len(atoms.lengths)), atoms.lengths)),
            ptr=torch.from_numpy(starts),
        )

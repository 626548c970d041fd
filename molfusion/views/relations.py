"""The view `relations`: what each atom is to each other one, along the bonds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from molfusion.batch import Arrays, Ragged, Record, spread
from molfusion.chem.graph import ATOM_SIZES, BOND_SIZES, graph
from molfusion.chem.parse import ChemError, parse
from molfusion.chem.relations import FAR, HOPS, part, paths
from molfusion.views.base import Features, View, ViewError, joined
from molfusion.views.conformer import heavy_atoms

_STRIDE = 512  # rows that MoleBLEND's tables give each feature


@dataclass
class Relations(Arrays):
    """Bytes as they are stored; the methods expand them on whatever device they are on."""

    atoms: Tensor  # [B, N, 9] uint8 OGB features + 1, 0 = padding; feature 0 is the atomic number (119 = other)
    distances: Tensor  # [B, N, N] int16 bonds from i to j, + 1: 1 = itself, 511 = no path, 0 = padding
    hops: Tensor  # [B, N, N, 5] uint8 codes of the path's first bonds, from i; 0 = the path is over, or padding
    mask: Tensor  # [B, N] bool

    pairs: ClassVar[bool] = True

    def degrees(self) -> Tensor:
        """[B, N] int64 bonds of each atom; 0 for padding."""
        return (self.distances == 2).sum(-1)

    def atom_rows(self) -> Tensor:
        """[B, N, 9] int64 rows of MoleBLEND's atom table: feature + 2 + 512 f, 0 = padding."""
        rows = self.atoms.long() + 1 + _STRIDE * torch.arange(len(ATOM_SIZES), device=self.atoms.device)
        return rows * self.mask[..., None]

    def degree_rows(self) -> Tensor:
        """[B, N] int64 rows of its degree tables: bonds + 1, 0 = padding."""
        return (self.degrees() + 1) * self.mask

    def hop_rows(self) -> Tensor:
        """[B, N, N, 5, 3] int64 rows of its bond table: feature + 3 + 512 f, 0 = no hop."""
        code = self.hops.long()[..., None]
        digits = torch.tensor([BOND_SIZES[1] * BOND_SIZES[2], BOND_SIZES[2], 1], device=code.device)
        features = (code - 1) // digits % torch.tensor(BOND_SIZES, device=code.device)
        rows = features + 3 + _STRIDE * torch.arange(len(BOND_SIZES), device=code.device)
        return rows * (code > 0)

    def bond_rows(self) -> Tensor:
        """[B, N, N, 3] int64: the same of bonded pairs only, one less; 0 = not bonded."""
        first = self.hop_rows()[..., 0, :]
        return (first - 1) * (self.distances == 2)[..., None]

    def pair_rows(self) -> Tensor:
        """[B, N, N, 2] int64 rows of its table of element pairs: Z_i + 2, Z_j + 514; 1, 513 where either is padding."""
        z, n = self.atoms[..., 0].long() + 2, self.atoms.shape[1]
        pairs = torch.stack([z[:, :, None].expand(-1, -1, n), (z + _STRIDE)[:, None].expand(-1, n, -1)], dim=-1)
        real = (self.mask[:, :, None] & self.mask[:, None, :])[..., None]
        return torch.where(real, pairs, torch.tensor([1, 1 + _STRIDE], device=z.device))


@dataclass(frozen=True)
class RelationsView(View):
    """OGB's atom features, shortest-path distances and the first five bonds of each shortest path.

    The atoms are those of the SMILES, in its order. With `hydrogens: false` explicit ones ([2H], bridging H) are left
    out, which gives the atoms of `ConformerView(hydrogens=False)`; the originals keep them.
    """

    pads: ClassVar[Literal["", "pairs", "text"]] = "pairs"

    hydrogens: bool = True
    max_atoms: int = 256  # a larger molecule has no such view

    def featurise(self, record: Record) -> Features:
        try:
            whole = graph(parse(record.smiles))
        except ChemError as error:
            raise ViewError(str(error)) from error
        if not self.hydrogens:
            kept = heavy_atoms(whole.atoms[:, 0] + 1)
            whole = whole if len(kept) == len(whole.atoms) else part(whole, kept)
        if len(whole.atoms) > self.max_atoms:
            raise ViewError(f"{len(whole.atoms)} atoms, this view takes at most {self.max_atoms} (max_atoms)")
        found = paths(whole)
        # A path among n atoms has at most n - 1 bonds.
        width = np.uint8 if self.max_atoms <= 256 else np.uint16
        return {"atoms": whole.atoms, "distances": found.distances.astype(width).ravel(), "hops": found.hops.reshape(-1, HOPS)}

    def atoms(self, record: Record) -> NDArray[np.int64]:
        """[N] for each atom of this view its index in the SMILES."""
        elements = graph(parse(record.smiles)).atoms[:, 0] + 1
        return np.arange(len(elements)) if self.hydrogens else heavy_atoms(elements)

    def collate(self, items: Sequence[Features]) -> Relations:
        return self.collate_flat(joined(items))

    def collate_flat(self, fields: Mapping[str, Ragged]) -> Relations:
        atoms, far = fields["atoms"], fields["distances"].flat.astype(np.int16)
        far[far == 0] = FAR
        mask, each = atoms.mask(), np.arange(atoms.lengths.max())
        pairs = mask[:, :, None] & mask[:, None, :]
        distances = spread(far + 1, pairs)
        distances[:, each, each] = mask
        return Relations(
            atoms=torch.from_numpy(Ragged(atoms.flat + np.uint8(1), atoms.lengths).padded()),
            distances=torch.from_numpy(distances),
            hops=torch.from_numpy(spread(fields["hops"].flat, pairs)),
            mask=torch.from_numpy(mask),
        )

"""The view `e3fp`: what surrounds each atom in space, as one number for each radius."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from molfusion.batch import Arrays, Ragged, Record
from molfusion.chem import e3fp, e3fp_package
from molfusion.chem.conformer import MAX_HEAVY, Optimise
from molfusion.chem.parse import ChemError, parse, reordered
from molfusion.chem.selfies import atom_tokens, spell
from molfusion.views.base import Fallback, Features, View, ViewError, joined
from molfusion.views.conformer import EmbeddingView

_GROUP = 32  # molecules whose shells are found at once
_PAIRS = 1 << 18  # and the most pairs of atoms they may have together, which bounds the memory


@dataclass
class ShellTokens(Arrays):
    ids: Tensor  # [B, R, level + 1] int64 places in the fingerprint; -1 = no such shell, or padding
    mask: Tensor  # [B, R] bool, True = a row of this molecule (of which, with rows of SELFIES, some hold no shell)


class _Rows(NamedTuple):
    """Where the shells of a molecule stand, and what they are made of."""

    rows: int  # R
    order: NDArray[np.int64]  # [N] for the k-th atom of the shells, its index in the SMILES
    at: NDArray[np.int64]  # [N] and its row
    mol: Any  # in that order
    positions: NDArray[np.float64] | None  # [N, 3] Å, in that order; None: nothing is known
    lost: str = ""  # why not, where something should be


@dataclass(frozen=True)
class E3FPView(View):
    """E3FP identifiers of each atom at each level, folded to `bits`.

    Defaults are DeepMoLM's, from its own code. Its training data (3D-MolT5's) have `rows: selfies` and `merge: true`:
    a row a SELFIES token, and duplicate shells under one name. `rows: selfies` stand in the order of `SelfiesView`.

    What harms a conformer can be tried: another one, a shaken one, points that are no molecule, or none at all.
    """

    bits: int = 4096
    level: int = 3
    radius: float = 1.718  # Å a level
    stereo: bool = True
    invariants: Literal["rdkit", "daylight"] = "rdkit"
    floating: bool = True  # atoms without bonds (ions) have shells
    rows: Literal["atoms", "selfies"] = "atoms"
    merge: bool = False
    seed: int = 0  # of the conformer that is embedded, and of whatever is random
    optimise: Optimise = "none"
    # `given`: the record's, embedded where it brings none; `random`: normal, 1.5 Å · ∛N wide; `missing`: no shell at all.
    conformer: Literal["given", "embedded", "random", "missing"] = "given"
    noise: float = 0.0  # Å, standard deviation of each coordinate
    # What E3FP cannot describe has rows without shells (DeepMoLM), and the ledger says why, instead of no such view.
    fallback: bool = False
    backend: Literal["ours", "package"] = "ours"  # the same numbers; `package` is about twenty times slower
    max_embedded: int = MAX_HEAVY  # heavy atoms; a larger molecule is not embedded

    tools: ClassVar[tuple[str, ...]] = ("rdkit", "mmh3", "e3fp", "selfies")
    together: ClassVar[int] = 4 * _GROUP  # of which those of like size go together

    def featurise(self, record: Record) -> Features:
        return self._one(record, None)

    def embedding(self, record: Record) -> View | None:
        embeds = self.conformer == "embedded" or (self.conformer == "given" and record.geometry is None)
        return self._embedding if embeds else None

    def featurise_embedded(self, record: Record, embedded: Features | ViewError) -> Features:
        return self._one(record, embedded)

    def featurise_many(
        self, records: Sequence[Record], embedded: Sequence[Features | ViewError | None]
    ) -> list[Features | ViewError]:
        """Molecules of like size share their array operations; the numbers are those of `featurise`."""
        if self.backend == "package":
            return super().featurise_many(records, embedded)
        out: dict[int, Features | ViewError] = {}
        read: dict[int, _Rows] = {}
        for k, (record, lent) in enumerate(zip(records, embedded, strict=True)):
            try:
                read[k] = self._read(record, lent)
            except ChemError as error:
                out[k] = ViewError(str(error))
        placed = {k: rows.positions for k, rows in read.items() if rows.positions is not None}
        for group in _groups({k: len(positions) for k, positions in placed.items()}):
            try:
                shells = e3fp.shells([read[k].mol for k in group], [placed[k] for k in group], self._settings)
            except ChemError:
                continue  # one of them has none: each by itself tells which
            out |= {k: self._features(read[k], found) for k, found in zip(group, shells, strict=True)}
        for k in read.keys() - out.keys():
            try:
                out[k] = self._features(read[k], *self._shells(read[k]))
            except ChemError as error:
                out[k] = ViewError(str(error))
        return [out[k] for k in range(len(records))]

    def members(self, record: Record) -> NDArray[np.bool_]:
        """The atoms of each shell, in the order of the record's SMILES: [R, level + 1, N].

        Raises:
            ViewError: it has no such view.
        """
        try:
            rows = self._read(record, None)
            found, _ = self._shells(rows)
        except ChemError as error:
            raise ViewError(str(error)) from error
        n = len(rows.order)
        out = np.zeros((rows.rows, self.level + 1, n), dtype=bool)
        if found is not None:
            inside = np.zeros((n, self.level + 1, n), dtype=bool)
            inside[:, :, rows.order] = found.members & (found.identifiers != e3fp.ABSENT)[:, :, None]
            out[rows.at] = inside
        return out

    def collate(self, items: Sequence[Features]) -> ShellTokens:
        return self.collate_flat(joined(items))

    def collate_flat(self, fields: Mapping[str, Ragged]) -> ShellTokens:
        ids = fields["ids"]
        return ShellTokens(ids=torch.from_numpy(ids.padded(-1, np.int64)), mask=torch.from_numpy(ids.mask()))

    @property
    def _embedding(self) -> EmbeddingView:
        return EmbeddingView(self.seed, self.optimise, self.max_embedded)

    @property
    def _settings(self) -> e3fp.Settings:
        return e3fp.Settings(self.level, self.radius, self.stereo, self.invariants, self.floating)

    def _one(self, record: Record, embedded: Features | ViewError | None) -> Features:
        try:
            rows = self._read(record, embedded)
            return self._features(rows, *self._shells(rows))
        except ChemError as error:
            raise ViewError(str(error)) from error

    def _features(self, rows: _Rows, found: e3fp.Shells | None, lost: str = "") -> Features:
        ids = np.full((rows.rows, self.level + 1), -1, dtype=np.int16 if self.bits <= 1 << 15 else np.int32)
        if found is not None:
            identifiers = e3fp.merge(found, self.bits) if self.merge else found.identifiers
            ids[rows.at] = e3fp.fold(identifiers, self.bits)
        return Fallback({"ids": ids}, f"without shells: {lost}") if lost else {"ids": ids}

    def _shells(self, rows: _Rows) -> tuple[e3fp.Shells | None, str]:
        """Those of a molecule, or none and why."""
        if rows.positions is None:
            return None, rows.lost
        try:
            if self.backend == "package":
                return e3fp_package.shells(rows.mol, rows.positions, self._settings), ""
            return e3fp.shells([rows.mol], [rows.positions], self._settings)[0], ""
        except ChemError as error:
            if self.fallback:
                return None, str(error)
            raise

    def _read(self, record: Record, embedded: Features | ViewError | None) -> _Rows:
        mol = parse(record.smiles)
        n = mol.GetNumAtoms()
        rows, order, at = n, np.arange(n), np.arange(n)
        if self.rows == "selfies":
            spelling = spell(mol)
            rows, order, at = len(spelling.tokens), np.array(spelling.order), atom_tokens(spelling.tokens)
            if len(at) != n:
                raise ChemError(f"its SELFIES has {len(at)} atoms, the molecule {n}")
        if self.conformer == "missing":
            return _Rows(rows, order, at, mol, None)
        try:
            positions = self._positions(record, n, embedded)
        except ChemError as error:
            if self.fallback:
                return _Rows(rows, order, at, mol, None, str(error))
            raise
        if self.rows == "selfies":  # duplicate shells are named in the order of the atoms, so that order is the string's
            mol, positions = reordered(mol, order.tolist()), positions[order]
        return _Rows(rows, order, at, mol, positions)

    def _positions(self, record: Record, n: int, embedded: Features | ViewError | None) -> NDArray[np.float64]:
        """[N, 3] Å of the heavy atoms and whatever else the SMILES names."""
        rng = np.random.default_rng((self.seed, *self.key(record)))
        if self.conformer == "random":
            return rng.normal(scale=1.5 * n ** (1 / 3), size=(n, 3))
        given = self._coordinates(record, embedded)
        if not np.isfinite(given).all():
            raise ChemError("a coordinate is not a finite number")
        if len(given) < n:
            raise ChemError(f"coordinates of {len(given)} atoms, the SMILES has {n}")
        exact = given[:n].astype(np.float64)
        return exact + rng.normal(scale=self.noise, size=exact.shape) if self.noise else exact

    def _coordinates(self, record: Record, embedded: Features | ViewError | None) -> NDArray[np.float32]:
        """Those of the record, or else those embedded."""
        if record.geometry is not None and self.conformer == "given":
            return record.geometry.positions
        try:
            embedded = self._embedding.featurise(record) if embedded is None else embedded
        except ViewError as error:
            embedded = error
        if isinstance(embedded, ViewError):
            raise ChemError(str(embedded))
        return embedded["positions"]


def _groups(sizes: Mapping[int, int]) -> Iterator[list[int]]:
    """Those of like size together, `_GROUP` at most and none with too many pairs of atoms."""
    group: list[int] = []
    for k in sorted(sizes, key=sizes.__getitem__):
        if len(group) == _GROUP or (group and (len(group) + 1) * sizes[k] ** 2 > _PAIRS):
            yield group
            group = []
        group.append(k)
    if group:
        yield group

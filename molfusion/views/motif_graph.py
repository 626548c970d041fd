"""The view `motif graph`: atoms, attachments and motifs of a whole molecule, for an encoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from molfusion.batch import Arrays, Record
from molfusion.chem.motifs_tree import MotifTree
from molfusion.chem.motifs_vocabulary import ATOM_INDEX, ATOMS, POSITIONS, MotifVocabulary, fitted_tree
from molfusion.chem.parse import ChemError, canonical, parse
from molfusion.views.base import Features, View, ViewError
from molfusion.views.motif_schedule import Rows, ordered, padded, stacked, table, widths
from molfusion.views.motifs import DEMO, motif_vocabulary


@dataclass
class MotifGraphs(Arrays):
    """B molecules of A atoms and N motifs in all; messages between either in the order in which they can be computed."""

    bonds: Tensor  # [U, 3] distinct messages between atoms: type of the first, bond, child's position
    bond_code: Tensor  # [R] which of them each row is
    bond_near: Tensor  # [R, K] rows that it reads, from 1
    bond_sizes: list[int]
    bond_widths: list[int]
    atoms: Tensor  # [A] type
    atom_near: Tensor  # [A, K] rows that arrive
    atom_molecule: Tensor  # [A]
    member: Tensor  # [C, 2] motif, and an atom in it
    motif: Tensor  # [N] numbers in the vocabulary
    pair: Tensor  # [N]
    root: Tensor  # [N] bool; a salt has one a part
    molecule: Tensor  # [N]
    place: Tensor  # [N] of a motif in its molecule
    edge: Tensor  # [E, 2] each row's sender, and its place among the children (0 towards them)
    edge_near: Tensor  # [E, K]
    edge_sizes: list[int]
    edge_widths: list[int]
    motif_near: Tensor  # [N, K] rows that arrive
    mask: Tensor  # [B, longest] bool: motifs


@dataclass(frozen=True)
class MotifGraphView(View):
    """The motif tree of `vocabulary` and the atoms below it; messages run for a number of rounds.

    Salts are several trees. A motif or an atom that is not known has a number of its own. As released (a vocabulary made
    with `--compat`), molecules with either have no such view.
    """

    vocabulary: str = DEMO
    atom_rounds: int = 20
    motif_rounds: int = 20
    max_atoms: int = 100

    def featurise(self, record: Record) -> Features:
        words = motif_vocabulary(self.vocabulary)
        try:
            parts = [record.smiles] if words.compat else canonical(parse(record.smiles)).split(".")
            trees = [fitted_tree(part, words, self.max_atoms) for part in parts]
        except ChemError as error:
            raise ViewError(str(error)) from error
        return _joined([self._tree(tree, words) for tree in trees])

    def collate(self, items: Sequence[Features]) -> MotifGraphs:
        return collate(items)

    def name(self) -> str:
        """The settings' name and the vocabulary's content, as a file may change under its path."""
        return f"{super().name()}-{motif_vocabulary(self.vocabulary).digest}"

    def _tree(self, tree: MotifTree, words: MotifVocabulary) -> Features:
        kinds, into, numbers = [], {}, []
        for atom in tree.mol.GetAtoms():
            kinds.append(ATOM_INDEX.get((atom.GetSymbol(), atom.GetFormalCharge()), len(ATOMS)))
            into[atom.GetIdx()] = [n.GetIdx() for n in atom.GetNeighbors()]
        for node in tree.nodes:
            pair = words.pair_index.get((node.motif, node.attach), len(words.pairs))
            numbers.append((words.motif_index.get(node.motif, len(words.motifs)), pair, int(node.parent < 0)))
            if node.position >= POSITIONS:
                raise ViewError(f"{node.position} motifs at one, expected fewer than {POSITIONS}")
        if words.compat and (len(ATOMS) in kinds or any(n[1] == len(words.pairs) for n in numbers)):
            raise ViewError(words.missing(tree) or "an atom that is not among the known ones")
        bonds = Rows(self.atom_rounds)
        bonds.update({(a, b): (kinds[a], *code) for (a, b), code in tree.bonds.items()}, into)
        edges = Rows(self.motif_rounds)
        near: dict[int, list[int]] = {}
        for x, y in tree.edges:
            near.setdefault(y, []).append(x)
        edges.update({(x, y): (x, tree.label(x, y)) for x, y in tree.edges}, near)
        return {
            **bonds.arrays("bond", 3),
            **edges.arrays("edge", 2),
            "atoms": np.array(kinds, dtype=np.int16),
            "atom_reads": table([(b, row) for (_, b), row in bonds.current.items()], 2),
            "members": table([(i, a) for i, node in enumerate(tree.nodes) for a in node.atoms], 2),
            "motifs": table(numbers, 3),
            "motif_reads": table([(y, row) for (_, y), row in edges.current.items()], 2),
        }


_NUMBERED = {  # which columns count what of the parts before
    "bond_codes": {}, "bond_levels": {}, "bond_reads": {0: "bond_levels", 1: "bond_levels"},
    "edge_codes": {0: "motifs"}, "edge_levels": {}, "edge_reads": {0: "edge_levels", 1: "edge_levels"},
    "atoms": {}, "atom_reads": {0: "atoms", 1: "bond_levels"}, "members": {0: "motifs", 1: "atoms"},
    "motifs": {}, "motif_reads": {0: "motifs", 1: "edge_levels"},
}  # fmt: skip


def _joined(parts: Sequence[Features]) -> dict[str, np.ndarray]:
    """Several as one: numbers count on."""
    before = {name: [0, *np.cumsum([len(p[name]) for p in parts])] for name in _NUMBERED}
    return {
        name: stacked(parts, name, {column: before[of] for column, of in columns.items()}).astype(np.int32)
        for name, columns in _NUMBERED.items()
    }


def collate(items: Sequence[Features]) -> MotifGraphs:
    """All molecules as one: rows of a level beside each other."""

    def tensor(array: object) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).long()

    all_ = {name: array.astype(np.int64) for name, array in _joined(items).items()}

    def messages(name: str) -> tuple[np.ndarray, np.ndarray, list[int]]:
        place, sizes = ordered(all_[f"{name}_levels"])
        reads = all_[f"{name}_reads"] - 1
        return place, padded(np.stack([place[reads[:, 0]], place[reads[:, 1]] + 1], 1), len(place)), sizes

    def arriving(name: str, place: np.ndarray, n: int) -> np.ndarray:
        pairs = all_[f"{name}_reads"].copy()
        pairs[:, 1] = place[pairs[:, 1] - 1] + 1
        return padded(pairs, n)

    bonds, bond_near, bond_sizes = messages("bond")
    edges, edge_near, edge_sizes = messages("edge")
    kinds, code = np.unique(all_["bond_codes"], axis=0, return_inverse=True)
    bond_code, edge = np.empty(len(bonds), dtype=np.int64), np.empty((len(edges), 2), dtype=np.int64)
    bond_code[bonds], edge[edges] = code.reshape(-1), all_["edge_codes"]
    counts = np.array([len(i["motifs"]) for i in items])
    place = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return MotifGraphs(
        bonds=tensor(kinds),
        bond_code=tensor(bond_code),
        bond_near=tensor(bond_near),
        bond_sizes=bond_sizes,
        bond_widths=widths(bond_near, bond_sizes),
        atoms=tensor(all_["atoms"]),
        atom_near=tensor(arriving("atom", bonds, len(all_["atoms"]))),
        atom_molecule=tensor(np.repeat(np.arange(len(items)), [len(i["atoms"]) for i in items])),
        member=tensor(all_["members"]),
        motif=tensor(all_["motifs"][:, 0]),
        pair=tensor(all_["motifs"][:, 1]),
        root=tensor(all_["motifs"][:, 2]).bool(),
        molecule=tensor(np.repeat(np.arange(len(items)), counts)),
        place=tensor(place),
        edge=tensor(edge),
        edge_near=tensor(edge_near),
        edge_sizes=edge_sizes,
        edge_widths=widths(edge_near, edge_sizes),
        motif_near=tensor(arriving("motif", edges, len(place))),
        mask=torch.arange(int(counts.max()))[None, :] < torch.from_numpy(counts)[:, None],
    )

"""The motif tree with what a generator must say at each node: motif, attachment, and where it is glued."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from rdkit import Chem

from molfusion.chem.motifs import BONDS, clusters, junction_tree, kekule_smiles, kekulised, part
from molfusion.chem.parse import ChemError

# Atom maps of an attachment: the atom is glued to the parent, waits for a child, or both (one and the same in `compat`,
# where a map of 2 is for atoms of any other cluster).
PARENT, CHILD, BOTH = 1, 2, 3


@dataclass
class Node:
    """One cluster in the tree."""

    atoms: list[int]  # in the order of `attach` (`compat`: of the ring or the fragment)
    parent: int = -1
    position: int = 0  # among its parent's children, from 1; 0 for the root
    children: list[int] = field(default_factory=list)
    motif: str = ""  # Kekulé SMILES
    attach: str = ""  # the same, with the atom maps above
    wild: str = ""  # `attach` for rare ones: glued where this is, and open everywhere
    labels: dict[int, int] = field(default_factory=dict)  # the atom maps, by atom
    glued: list[int] = field(default_factory=list)  # atoms shared with the parent, in the order of `attach`
    anchors: list[tuple[int, str]] = field(default_factory=list)  # `compat`: those with neighbours beyond, SMILES each
    candidates: list[tuple[int, ...]] = field(default_factory=list)  # where it could be glued, the true place first


@dataclass
class MotifTree:
    """Nodes; steps (x, y, 1) down to y, (x, y, 0) back up to y, last (0, None, 0); bonds both ways."""

    mol: Chem.Mol
    nodes: list[Node]
    edges: list[tuple[int, int]]  # both directions
    order: list[tuple[int, int | None, int]]
    bonds: dict[tuple[int, int], tuple[int, int]]  # atoms -> type (index of BONDS), position of the child that brings it

    def label(self, x: int, y: int) -> int:
        """Of the edge x -> y: 0 downwards, upwards the child's position."""
        return self.nodes[x].position if self.nodes[x].parent == y else 0


def motif_tree(smiles: str, known: Collection[str] = (), compat: bool = False, max_atoms: int = 100) -> MotifTree:
    """The tree of a molecule of at most `max_atoms`; `known` are the fragments that are kept whole.

    By default candidates stay empty: `motifs_assembly.rebuild` finds them.

    Raises:
        ChemError: it has none; the reason.
    """
    mol = kekulised(smiles, compat)
    if mol.GetNumAtoms() > max_atoms:
        raise ChemError(f"{mol.GetNumAtoms()} atoms, expected at most {max_atoms} (max_atoms)")
    if compat and mol.GetNumAtoms() == 1:
        raise ChemError("a single atom has no motif tree")
    groups = clusters(mol, frozenset(known))
    shared = _shared(groups, mol.GetNumAtoms())
    near = junction_tree(groups, mol.GetNumAtoms(), compat)
    nodes = [Node(atoms) for atoms in groups]
    order: list[tuple[int, int | None, int]] = []
    earlier: dict[int, list[int]] = {0: []}  # the clusters placed around a node before it
    _visit(nodes, near, 0, order, earlier)
    order.append((0, None, 0))
    bonds = {}
    for bond in mol.GetBonds():
        a, b, kind = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx(), BONDS.index(bond.GetBondType())
        bonds[a, b] = bonds[b, a] = (kind, 0)
    tree = MotifTree(mol, nodes, [(i, j) for i, row in enumerate(near) for j in row], order, dict(sorted(bonds.items())))
    for atom in mol.GetAtoms():
        atom.SetAtomMapNum(atom.GetIdx() + 1)
    for i, node in enumerate(nodes):
        inter = set(node.atoms) & set(nodes[node.parent].atoms) if node.parent >= 0 else set()
        if compat:
            _label_compat(mol, node, inter or {0}, shared)
            if node.parent >= 0 and len(nodes[node.parent].atoms) > 2:
                history = {a for j in earlier[i] for a in nodes[j].atoms}
                node.candidates = _candidates_compat(mol, history, node, nodes[node.parent].atoms, len(inter))
        else:
            _label(mol, node, inter, {a for j in node.children for a in nodes[j].atoms})
        if node.parent >= 0 and len(nodes[node.parent].atoms) > 2:
            _number_bonds(tree, node, inter)
    return tree


def _shared(groups: list[list[int]], atoms: int) -> set[int]:
    times = [0] * atoms
    for group in groups:
        for atom in group:
            times[atom] += 1
    return {atom for atom, n in enumerate(times) if n > 1}


def _visit(
    nodes: list[Node], near: list[list[int]], x: int, order: list[tuple[int, int | None, int]], earlier: dict[int, list[int]]
) -> None:
    """Depth first, children in ascending order."""
    node = nodes[x]
    node.children = sorted(y for y in near[x] if y != node.parent)
    for k, y in enumerate(node.children):
        nodes[y].parent, nodes[y].position = x, k + 1
        earlier[y] = [*node.children[:k], x, *([node.parent] if node.parent >= 0 else [])]
        order.append((x, y, 1))
        _visit(nodes, near, y, order, earlier)
        order.append((y, x, 0))


def _number_bonds(tree: MotifTree, node: Node, inter: set[int]) -> None:
    """New bonds towards a glued atom carry the child's position; the first child to bring one wins."""
    new = set(node.atoms) - set(tree.nodes[node.parent].atoms)
    for (a, b), (kind, position) in tree.bonds.items():
        if a in new and b in inter and not position:
            tree.bonds[a, b] = (kind, node.position)


def _label(mol: Chem.Mol, node: Node, inter: set[int], below: set[int]) -> None:
    several = len(node.atoms) > 1
    node.glued = sorted(inter)
    node.motif, _ = _spelled(mol, node.atoms, {})
    node.wild, _ = _spelled(mol, node.atoms, {a: BOTH if a in inter else CHILD for a in node.atoms} if several else {})
    relabel(mol, node, {a: PARENT * (a in inter) + CHILD * (a in below) for a in node.atoms} if several else {})


def relabel(mol: Chem.Mol, node: Node, labels: dict[int, int]) -> None:
    """Give a node (not of `compat`) these atom maps."""
    node.labels = labels
    node.attach, node.atoms = _spelled(mol, node.atoms, labels)
    node.glued = [a for a in node.atoms if a in node.glued]


def _spelled(mol: Chem.Mol, atoms: list[int], labels: dict[int, int]) -> tuple[str, list[int]]:
    """Kekulé SMILES of a cluster with these atom maps, and its atoms in the order of the SMILES."""
    piece = part(mol, atoms, compat=False)
    atoms = sorted(atoms)
    for atom, i in zip(piece.GetAtoms(), atoms, strict=True):
        atom.SetAtomMapNum(labels.get(i, 0))
    text = kekule_smiles(piece)
    return text, [atoms[k] for k in piece.GetPropsAsDict(includePrivate=True, includeComputed=True)["_smilesAtomOutputOrder"]]


def _label_compat(mol: Chem.Mol, node: Node, inter: set[int], shared: set[int]) -> None:
    piece = part(mol, node.atoms, compat=True)
    atoms = [atom.GetAtomMapNum() - 1 for atom in piece.GetAtoms()]
    if piece.GetNumBonds():
        for k in anchor_indices(piece, {k for k, a in enumerate(atoms) if a in inter}):
            node.anchors.append((atoms[k], only_mapped(piece, k)))
        for atom, i in zip(piece.GetAtoms(), atoms, strict=True):
            atom.SetAtomMapNum(PARENT if i in inter else CHILD if i in shared else 0)
        node.labels = {a: m for a, m in zip(atoms, (x.GetAtomMapNum() for x in piece.GetAtoms()), strict=True) if m}
        node.attach = kekule_smiles(piece)
    node.glued = [a for a in atoms if a in inter]
    for atom in piece.GetAtoms():
        atom.SetAtomMapNum(0)
    node.motif = kekule_smiles(piece)
    if not piece.GetNumBonds():
        if not node.glued:
            raise ChemError("its first atom is in no motif")
        node.attach = node.motif
        node.anchors = [(node.glued[0], node.motif)]


def anchor_indices(piece: Chem.Mol, inside: Collection[int]) -> list[int]:
    """Those atoms of `inside` that have a neighbour outside it."""
    return [
        a.GetIdx() for a in piece.GetAtoms() if a.GetIdx() in inside and any(n.GetIdx() not in inside for n in a.GetNeighbors())
    ]


def only_mapped(piece: Chem.Mol, k: int) -> str:
    """Kekulé SMILES with atom `k` mapped :1 and no other."""
    copy = Chem.Mol(piece)
    for atom in copy.GetAtoms():
        atom.SetAtomMapNum(int(atom.GetIdx() == k))
    return kekule_smiles(copy)


def _candidates_compat(
    mol: Chem.Mol, history: set[int], node: Node, parent: list[int], inter: int
) -> list[tuple[int, ...]]:
    """The true place, and those of the parent cluster whose canonical rank in what stands there already differs."""
    piece = part(mol, history, compat=True)
    atoms = [atom.GetAtomMapNum() - 1 for atom in piece.GetAtoms()]
    for atom in piece.GetAtoms():
        atom.SetAtomMapNum(0)
    rank = dict(zip(atoms, Chem.CanonicalRankAtoms(piece, breakTies=False), strict=True))
    true = tuple(atom for atom, _ in node.anchors)
    if inter == 1:
        return [true, *((x,) for x in parent if rank[x] != rank[true[0]])]
    if len(true) < 2:
        raise ChemError("a motif that lies within what it is glued to")
    there = parent[inter - 1 :] + parent[: inter - 1]
    if node.anchors[0][1] == node.anchors[1][1]:
        pairs = zip(parent, there, strict=True)
        wanted = rank[min(true)], rank[max(true)]
        return [true, *(p for p in pairs if (rank[min(p)], rank[max(p)]) != wanted)]
    pairs = zip(parent + there, there + parent, strict=True)
    return [true, *(p for p in pairs if (rank[p[0]], rank[p[1]]) != (rank[true[0]], rank[true[1]]))]

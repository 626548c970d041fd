"""A molecule as a tree of motifs (Jin et al. 2020, "Hierarchical generation of molecular graphs"; 3M-Diffusion).

Rings, bonds between them and whole frequent pieces are clusters of atoms; clusters that share atoms are neighbours in
the tree. All bonds are those of one Kekulé structure. `compat` repeats the released code step by step.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from rdkit import Chem

from molfusion.chem.parse import ChemError, parse

BONDS = (Chem.BondType.SINGLE, Chem.BondType.DOUBLE, Chem.BondType.TRIPLE, Chem.BondType.AROMATIC)
_SINGLETON = 100  # weight that keeps an atom of many clusters in the tree


def kekulised(smiles: str, compat: bool) -> Chem.Mol:
    """The molecule without aromatic flags; by default without stereo, its first atom the end of a chain if it has one.

    Raises:
        ChemError: no molecule, no Kekulé structure, or a bond that is none of single, double, triple.
    """
    mol = parse(smiles)
    if not compat:
        mol = parse(str(Chem.MolToSmiles(mol, rootedAtAtom=_end(mol), isomericSmiles=False)))
    try:
        Chem.Kekulize(mol, clearAromaticFlags=True)
    except Chem.KekulizeException as error:
        raise ChemError(f"no Kekulé structure: {error}") from error
    if odd := {str(b.GetBondType()) for b in mol.GetBonds()} - {str(b) for b in BONDS[:3]}:
        raise ChemError(f"a bond of type {min(odd)}: {smiles!r}")
    return mol


def kekule_smiles(mol: Chem.Mol) -> str:
    return str(Chem.MolToSmiles(mol, kekuleSmiles=True))


def part(mol: Chem.Mol, atoms: Collection[int], compat: bool) -> Chem.Mol:
    """The molecule that these atoms induce, with the atom maps of `mol`.

    In `compat` it is written and read again, and RDKit may choose another Kekulé structure for it.

    Raises:
        ChemError: (`compat`) RDKit refuses the piece.
    """
    if not compat:
        return _induced(mol, sorted(atoms))
    text = Chem.MolFragmentToSmiles(mol, list(atoms), kekuleSmiles=True)
    rough = Chem.MolFromSmiles(text, sanitize=False)
    again = Chem.MolFromSmiles(kekule_smiles(_induced(rough, range(rough.GetNumAtoms()), cached=False)))
    if again is None:
        raise ChemError(f"RDKit refuses the piece {text!r}")
    Chem.Kekulize(again, clearAromaticFlags=True)
    return again


def fragments(mol: Chem.Mol) -> list[tuple[str, list[int]]]:
    """The pieces left when rings are cut from each other and from chains: canonical SMILES and atoms.

    A substituent of one atom stays with its ring; a longer one takes a copy of its ring atom along. The atoms of a piece
    stand in the order of its SMILES.

    Raises:
        ChemError: RDKit refuses a piece.
    """
    cut = Chem.RWMol(mol)
    for atom in cut.GetAtoms():
        atom.SetAtomMapNum(atom.GetIdx())  # atom 0 has none, which reads as 0
    for bond in mol.GetBonds():
        ends = (bond.GetBeginAtom(), bond.GetEndAtom())
        rings = [end.IsInRing() for end in ends]
        if bond.IsInRing() or not any(rings):
            continue
        ring, other = ends if rings[0] else ends[::-1]
        if not all(rings):
            if other.GetDegree() <= 1:
                continue
            cut.AddBond(cut.AddAtom(_copy(ring, ring.GetIdx())), other.GetIdx(), bond.GetBondType())
        cut.RemoveBond(ring.GetIdx(), other.GetIdx())
    found = []
    for text in str(Chem.MolToSmiles(cut)).split("."):
        piece = Chem.MolFromSmiles(text, sanitize=False)
        atoms = [atom.GetAtomMapNum() for atom in piece.GetAtoms()]
        whole = Chem.MolFromSmiles(kekule_smiles(part(mol, set(atoms), compat=True)))
        if whole is None:
            raise ChemError(f"RDKit refuses the piece {text!r}")
        found.append((str(Chem.MolToSmiles(whole)), atoms))
    return found


def clusters(mol: Chem.Mol, known: Collection[str]) -> list[list[int]]:
    """Groups of atoms that cover all bonds, by their lowest atom: known fragments, and the bonds and rings beside them.

    A single atom is one group.

    Raises:
        ChemError: RDKit refuses a fragment, or two of them hold one ring or bond.
    """
    base = [[b.GetBeginAtomIdx(), b.GetEndAtomIdx()] for b in mol.GetBonds() if not b.IsInRing()]
    base += [list(ring) for ring in Chem.GetSymmSSSR(mol)]
    if not base and mol.GetNumAtoms() == 1:
        return [[0]]
    taken = [0] * len(base)
    found: list[list[int]] = []
    for smiles, atoms in fragments(mol) if known else ():
        if smiles in known:
            inside = set(atoms)
            found.append(list(inside))  # in the order of CPython's set, as released
            for i, cluster in enumerate(base):
                taken[i] += inside.issuperset(cluster)
    if max(taken, default=0) > 1:
        raise ChemError("two fragments hold one ring or bond")
    found += [cluster for cluster, times in zip(base, taken, strict=True) if not times]
    return sorted(found, key=min)


def junction_tree(groups: list[list[int]], atoms: int, compat: bool) -> list[list[int]]:
    """Neighbours of each cluster in the tree; appends to `groups` the single atoms at which several clusters meet.

    Where clusters form a cycle, neighbours in the tree are those that share most atoms. As released (`compat`), an atom of
    three clusters stands between them even where two of them share a bond, which is then lost; and where they form a
    cycle, neighbours are those that cover most atoms together.

    Raises:
        ChemError: the clusters do not hang together.
    """
    holders: list[list[int]] = [[] for _ in range(atoms)]
    for i, group in enumerate(groups):
        for atom in group:
            holders[atom].append(i)
    weights: dict[int, dict[int, int]] = {i: {} for i in range(len(groups))}

    def connect(i: int, j: int, weight: int) -> None:
        weights.setdefault(j, {})
        weights[i][j] = weights[j][i] = weight

    sets = [set(group) for group in groups]
    for atom, mine in enumerate(holders):
        met = [sets[i] for i in mine] if compat else [sets[i] & sets[j] for k, i in enumerate(mine) for j in mine[k + 1 :]]
        if len(mine) > 2 and len((set.intersection if compat else set.union)(*met)) == 1:
            groups.append([atom])
            for i in mine:
                connect(i, len(groups) - 1, _SINGLETON)
        else:
            for k, i in enumerate(mine):
                for j in mine[k + 1 :]:
                    connect(i, j, len(sets[i] | sets[j] if compat else sets[i] & sets[j]))
    tree: list[list[int]] = [[] for _ in groups]
    edges = [(i, j, w) for i, near in weights.items() for j, w in near.items()]
    if len(edges) // 2 > len(groups) - 1:
        edges = _spanning([e for e in edges if e[0] < e[1]], len(groups))
    for i, j, _ in edges:
        tree[i].append(j)
    if not _connected(tree) or (not compat and not all(holders)):
        raise ChemError("more than one fragment: its motifs are no tree")
    return tree


def _spanning(edges: list[tuple[int, int, int]], nodes: int) -> list[tuple[int, int, int]]:
    """Kruskal's maximum spanning tree, both directions of each edge; ties in the order given."""
    leader = list(range(nodes))

    def find(i: int) -> int:
        while leader[i] != i:
            i = leader[i]
        return i

    kept = []
    for i, j, w in sorted(edges, key=lambda e: -e[2]):
        a, b = find(i), find(j)
        if a != b:
            leader[a] = b
            kept += [(i, j, w), (j, i, w)]
    return kept


def _connected(tree: list[list[int]]) -> bool:
    if not tree:
        return False
    seen, stack = {0}, [0]
    while stack:
        for j in tree[stack.pop()]:
            if j not in seen:
                seen.add(j)
                stack.append(j)
    return len(seen) == len(tree)


def _end(mol: Chem.Mol) -> int:
    """An atom with one neighbour, else one of one ring, else any; the first in canonical order."""
    ranks = list(Chem.CanonicalRankAtoms(mol, breakTies=True))
    rings = mol.GetRingInfo()
    return min(range(len(ranks)), key=lambda i: (mol.GetAtomWithIdx(i).GetDegree() > 1, rings.NumAtomRings(i) != 1, ranks[i]))


def _copy(atom: Chem.Atom, number: int) -> Chem.Atom:
    """Element and charge, and this atom map."""
    new = Chem.Atom(atom.GetSymbol())
    new.SetFormalCharge(atom.GetFormalCharge())
    new.SetAtomMapNum(number)
    return new


def _induced(mol: Chem.Mol, atoms: Iterable[int], cached: bool = True) -> Chem.Mol:
    out = Chem.RWMol()
    index = {}
    for i in atoms:
        atom = mol.GetAtomWithIdx(i)
        index[i] = out.AddAtom(_copy(atom, atom.GetAtomMapNum()))
    for bond in mol.GetBonds():
        a, b = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        if a in index and b in index:
            out.AddBond(index[a], index[b], bond.GetBondType())
    if cached:
        out.UpdatePropertyCache(strict=False)
    return out.GetMol()

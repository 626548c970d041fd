"""Motifs glued to a molecule, atom on atom: all bonds are Kekulé and stay as they are, so that checking valences is enough."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from rdkit import Chem

from molfusion.chem.motifs import BONDS
from molfusion.chem.motifs_tree import BOTH, CHILD, PARENT, MotifTree
from molfusion.chem.parse import ChemError, flat_canonical

_AUTOMORPHISMS = 64  # more than any motif of a few rings has


@dataclass(frozen=True)
class Template:
    """An attachment as numbers, in the order of its SMILES."""

    atoms: tuple[tuple[str, int], ...]  # element, charge
    bonds: dict[tuple[int, int], int]  # both ways; index of BONDS
    labels: tuple[int, ...]
    glued: tuple[int, ...]  # atoms that lie on the parent's; of a single atom, itself
    open: tuple[int, ...]  # atoms where children go
    symmetries: tuple[tuple[int, ...], ...]  # orders of `glued` that change nothing
    anchors: tuple[tuple[int, str], ...]  # which of `glued` are scored, under which attachment of the vocabulary


@lru_cache(maxsize=65536)
def template(attach: str) -> Template:
    """Read an attachment.

    Raises:
        ChemError: it is no SMILES.
    """
    mol = Chem.MolFromSmiles(attach, sanitize=False)
    if mol is None:
        raise ChemError(f"not a motif: {attach!r}")
    labels = tuple(atom.GetAtomMapNum() for atom in mol.GetAtoms())
    single = len(labels) == 1
    glued = tuple(i for i, m in enumerate(labels) if m in (PARENT, BOTH) or single)
    bonds = {}
    for bond in mol.GetBonds():
        a, b, kind = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx(), BONDS.index(bond.GetBondType())
        bonds[a, b] = bonds[b, a] = kind
    symmetries = {glued}
    if len(glued) > 1:
        mol.UpdatePropertyCache(strict=False)
        for match in mol.GetSubstructMatches(mol, uniquify=False, maxMatches=_AUTOMORPHISMS):
            if all(labels[i] == labels[j] for i, j in enumerate(match)):
                symmetries.add(tuple(match[i] for i in glued))
    place = {atom: k for k, atom in enumerate(glued)}
    return Template(
        atoms=tuple((atom.GetSymbol(), atom.GetFormalCharge()) for atom in mol.GetAtoms()),
        bonds=bonds,
        labels=labels,
        glued=glued,
        open=tuple(i for i, m in enumerate(labels) if m in (CHILD, BOTH) or single),
        symmetries=tuple(sorted(tuple(place[i] for i in s) for s in symmetries)),
        anchors=tuple((k, attach) for k in range(len(glued))),
    )


@dataclass
class Placed:
    """A motif in the molecule."""

    template: Template
    atoms: list[int]  # of the molecule, in the template's order
    used: list[tuple[int, ...]]  # where children were glued


class Assembly:
    """A molecule that grows motif by motif."""

    def __init__(self) -> None:
        self.mol = Chem.RWMol()

    def root(self, motif: Template) -> Placed:
        return Placed(motif, self._add(self.mol, motif, {}), [])

    def placements(self, parent: Placed, motif: Template) -> list[tuple[int, ...]]:
        """Every way to lay the motif's glued atoms on open atoms of the parent: same atoms, same bonds among them.

        One atom may take several children (two methyl groups where a bridge meets a ring); several atoms take one together.
        """
        free = [parent.atoms[i] for i in parent.template.open]
        kinds = {a: self._kind(a) for a in free}
        before = {frozenset(place) for place in parent.used if len(place) > 1}
        return [p for p in self._extend(motif, free, kinds, ()) if frozenset(p) not in before]

    def _extend(
        self, motif: Template, free: list[int], kinds: dict[int, tuple[str, int]], chosen: tuple[int, ...]
    ) -> Iterator[tuple[int, ...]]:
        k = len(chosen)
        if k == len(motif.glued):
            if k:
                yield chosen
            return
        i = motif.glued[k]
        for a in free:
            if a not in chosen and kinds[a] == motif.atoms[i] and all(
                self._bond(a, b) == motif.bonds.get((i, j)) for j, b in zip(motif.glued, chosen, strict=False)
            ):
                yield from self._extend(motif, free, kinds, (*chosen, a))

    def glue(self, parent: Placed, motif: Template, place: tuple[int, ...]) -> Placed | None:
        """Add the motif there; None, and nothing happens, where an atom would have too many bonds."""
        grown = Chem.RWMol(self.mol)
        atoms = self._add(grown, motif, dict(zip(motif.glued, place, strict=True)))
        try:
            for a in place:
                grown.GetAtomWithIdx(a).UpdatePropertyCache(strict=True)
        except Chem.AtomValenceException:
            return None
        self.mol = grown
        parent.used.append(place)
        return Placed(motif, atoms, [])

    def classes(self, parent: Placed, motif: Template, places: Sequence[tuple[int, ...]]) -> list[tuple[int, ...]]:
        """A name for each placement; equal names are one molecule, whichever is chosen."""
        marked = Chem.Mol(self.mol)
        for atom, label in zip(parent.atoms, parent.template.labels, strict=True):
            marked.GetAtomWithIdx(atom).SetAtomMapNum(label)
        marked.UpdatePropertyCache(strict=False)
        Chem.FastFindRings(marked)
        rank = list(Chem.CanonicalRankAtoms(marked, breakTies=False, includeAtomMaps=True))
        return [min(tuple(rank[place[k]] for k in order) for order in motif.symmetries) for place in places]

    def smiles(self) -> str | None:
        """Canonical SMILES; None where RDKit refuses the molecule."""
        return canonical_flat(self.mol)

    def _kind(self, atom: int) -> tuple[str, int]:
        found = self.mol.GetAtomWithIdx(atom)
        return found.GetSymbol(), found.GetFormalCharge()

    def _bond(self, a: int, b: int) -> int | None:
        bond = self.mol.GetBondBetweenAtoms(a, b)
        return None if bond is None else BONDS.index(bond.GetBondType())

    @staticmethod
    def _add(mol: Chem.RWMol, motif: Template, onto: dict[int, int]) -> list[int]:
        atoms = []
        for i, (symbol, charge) in enumerate(motif.atoms):
            if i in onto:
                atoms.append(onto[i])
                continue
            atom = Chem.Atom(symbol)
            atom.SetFormalCharge(charge)
            atoms.append(mol.AddAtom(atom))
        for (i, j), kind in motif.bonds.items():
            if i < j and mol.GetBondBetweenAtoms(atoms[i], atoms[j]) is None:
                mol.AddBond(atoms[i], atoms[j], BONDS[kind])
        return atoms


def canonical_flat(mol: Chem.Mol) -> str | None:
    """Canonical SMILES of what a molecule of bare atoms and Kekulé bonds reads as; None where RDKit refuses it."""
    try:
        again = Chem.MolFromSmiles(Chem.MolToSmiles(mol.GetMol() if isinstance(mol, Chem.RWMol) else mol))
    except (ValueError, RuntimeError):
        return None
    if again is None or not again.GetNumAtoms():
        return None
    return flat_canonical(again)


def rebuild(tree: MotifTree) -> None:
    """Put the molecule together again from its motifs, and note at each node where else it could have been glued.

    Raises:
        ChemError: another molecule comes out, or no placement is the true one: this decoder cannot write it.
    """
    assembly = Assembly()
    placed = {0: assembly.root(template(tree.nodes[0].attach))}
    for x, y, down in tree.order:
        if not down:
            continue
        assert y is not None
        node, parent, motif = tree.nodes[y], placed[x], template(tree.nodes[y].attach)
        here = dict(zip(tree.nodes[x].atoms, parent.atoms, strict=True))
        back = {a: i for i, a in here.items()}
        true = tuple(here[a] for a in node.glued)
        places = assembly.placements(parent, motif)
        if true not in places:
            raise ChemError(f"nowhere to glue {node.attach} as in the molecule")
        distinct = _distinct(assembly, parent, motif, true, places)
        if len(distinct) > 1:
            node.candidates = [tuple(back[a] for a in p) for p in distinct]
        child = assembly.glue(parent, motif, true)
        if child is None:
            raise ChemError(f"a valence forbids {node.attach}")
        placed[y] = child
    if (found := assembly.smiles()) != (wanted := target(tree.mol)):
        raise ChemError(f"its motifs make {found}, not {wanted}")


def target(mol: Chem.Mol) -> str | None:
    """What a motif decoder can write at best of a molecule: element, charge and bonds."""
    bare = Chem.RWMol(mol)
    for atom in bare.GetAtoms():
        atom.SetAtomMapNum(0)
    return canonical_flat(bare)


def _distinct(
    assembly: Assembly, parent: Placed, motif: Template, true: tuple[int, ...], places: Collection[tuple[int, ...]]
) -> list[tuple[int, ...]]:
    """The true place first, then one of each other class."""
    ordered = [true, *(p for p in places if p != true)]
    kept: dict[tuple[int, ...], tuple[int, ...]] = {}
    for name, place in zip(assembly.classes(parent, motif, ordered), ordered, strict=True):
        kept.setdefault(name, place)
    return list(kept.values())

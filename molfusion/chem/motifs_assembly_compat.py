"""Gluing motifs as released: on consecutive atoms of the parent, valid where the molecule survives being written and read."""

from __future__ import annotations

from functools import lru_cache

from rdkit import Chem

from molfusion.chem.motifs import BONDS, kekule_smiles
from molfusion.chem.motifs_assembly import Assembly, Placed, Template
from molfusion.chem.motifs_tree import PARENT, anchor_indices, only_mapped
from molfusion.chem.parse import ChemError


@lru_cache(maxsize=65536)
def template_compat(attach: str) -> Template:
    """Read an attachment; RDKit chooses the Kekulé structure anew.

    Three glued atoms or more stand in a row that begins and ends at an anchor; where there is none, nothing is glued.

    Raises:
        ChemError: it is no molecule.
    """
    mol = Chem.MolFromSmiles(attach)
    if mol is None:
        raise ChemError(f"not a motif: {attach!r}")
    Chem.Kekulize(mol, clearAromaticFlags=True)
    labels = tuple(atom.GetAtomMapNum() for atom in mol.GetAtoms())
    glued = [i for i, m in enumerate(labels) if m == PARENT or len(labels) == 1]
    anchors = glued if len(glued) == 1 else anchor_indices(mol, glued)
    if len(glued) > 2:
        turns = [glued[k:] + glued[:k] for k in range(len(glued))]
        glued = next((t for t in turns if t[0] in anchors and t[-1] in anchors), [])
        anchors = [glued[0], glued[-1]] if glued else []
    elif len(glued) == 2 and len(anchors) < 2:
        glued, anchors = [], []
    bonds = {}
    for bond in mol.GetBonds():
        a, b = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        bonds[a, b] = bonds[b, a] = BONDS.index(bond.GetBondType())
    names = tuple((glued.index(i), only_mapped(mol, i)) for i in anchors)
    atoms = tuple((atom.GetSymbol(), atom.GetFormalCharge()) for atom in mol.GetAtoms())
    return Template(atoms, bonds, labels, tuple(glued), (), (), names)


class CompatAssembly(Assembly):
    """The released rules."""

    def placements(self, parent: Placed, motif: Template) -> list[tuple[int, ...]]:
        """Consecutive atoms of the parent's list; both directions where the two anchors differ."""
        n, ring = len(motif.glued), parent.atoms
        if n == 0:
            return []
        if n == 1:
            taken = {a for place in parent.used for a in place} | self._inside(parent)
            return [(a,) for a in ring if a not in taken or len(ring) == 1]
        windows = [tuple(ring[(k + j) % len(ring)] for j in range(n)) for k in range(len(ring))]
        if motif.anchors[0][1] != motif.anchors[1][1]:
            windows += [w[::-1] for w in windows]
        before = {(place[0], place[-1]) for place in parent.used}
        return [w for w in windows if (w[0], w[-1]) not in before]

    def glue(self, parent: Placed, motif: Template, place: tuple[int, ...]) -> Placed | None:
        """Add the motif there; None, and nothing happens, where elements differ at the ends or no molecule comes out."""
        onto = dict(zip(motif.glued, place, strict=True))
        ends = {motif.glued[0]: place[0], motif.glued[-1]: place[-1]}
        if any(self._kind(a) != motif.atoms[i] for i, a in ends.items()) or len(set(place)) < len(place):
            return None
        grown = Chem.RWMol(self.mol)
        atoms = self._add(grown, motif, onto)
        try:
            read = Chem.MolFromSmiles(kekule_smiles(grown.GetMol()))
        except (ValueError, RuntimeError):
            return None
        if read is None:
            return None
        self.mol = grown
        parent.used.append(place)
        return Placed(motif, atoms, [])

    @staticmethod
    def _inside(parent: Placed) -> set[int]:
        """Atoms glued to the grandparent, and those that no other motif shares."""
        return {a for a, label in zip(parent.atoms, parent.template.labels, strict=True) if label < 2}

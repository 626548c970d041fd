"""What a decoder could write if it knew: the ceiling of its assembler, whatever the network."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from rdkit import Chem

from molfusion.chem.motifs_assembly import Placed, canonical_flat, rebuild, target
from molfusion.chem.motifs_assembly_compat import CompatAssembly, template_compat
from molfusion.chem.motifs_tree import MotifTree
from molfusion.chem.motifs_vocabulary import MotifVocabulary, fitted_tree
from molfusion.chem.parse import ChemError

_WIDTH = 32  # partial molecules that are followed at once

State = tuple[CompatAssembly, dict[int, Placed]]  # node -> where it is


def reachable(smiles: str, words: MotifVocabulary, max_atoms: int = 100) -> bool:
    """Whether the true motifs in the true order, each glued at the best place, make the molecule again.

    Raises:
        ChemError: it has no motif tree, or one with a motif outside the vocabulary.
    """
    tree = fitted_tree(smiles, words, max_atoms)
    if missing := words.missing(tree):
        raise ChemError(f"out of vocabulary: {missing}")
    if words.compat:
        return _rebuilt_compat(tree)
    try:
        rebuild(tree)
    except ChemError:
        return False
    return True


def _rebuilt_compat(tree: MotifTree) -> bool:
    """The released assembler, all partial molecules kept that are what stands there in truth."""
    first = CompatAssembly()
    states: list[State] = [(first, {0: first.root(template_compat(tree.nodes[0].attach))})]
    atoms, bonds = set(tree.nodes[0].atoms), _inside(tree, 0)
    for x, y, down in tree.order:
        if not down:
            continue
        assert y is not None
        atoms |= set(tree.nodes[y].atoms)
        bonds |= _inside(tree, y)
        truth = _part(tree, atoms, bonds)
        grown = (new for state in states for new in _grown(state, x, y, tree.nodes[y].attach))
        states = list(islice((new for new in grown if new[0].smiles() == truth), _WIDTH))
    wanted = target(tree.mol)
    return any(assembly.smiles() == wanted for assembly, _ in states)


def _grown(state: State, x: int, y: int, attach: str) -> Iterator[State]:
    """Every way to glue node `y` to node `x`."""
    assembly, placed = state
    motif = template_compat(attach)
    for place in assembly.placements(placed[x], motif):
        new = CompatAssembly()
        new.mol = assembly.mol
        copies = {i: Placed(p.template, p.atoms, list(p.used)) for i, p in placed.items()}
        if (child := new.glue(copies[x], motif, place)) is not None:
            yield new, copies | {y: child}


def _inside(tree: MotifTree, i: int) -> set[tuple[int, int]]:
    atoms = set(tree.nodes[i].atoms)
    return {(a, b) for a, b in tree.bonds if a < b and a in atoms and b in atoms}


def _part(tree: MotifTree, atoms: set[int], bonds: set[tuple[int, int]]) -> str | None:
    """Canonical SMILES of some atoms and bonds of the molecule."""
    out = Chem.RWMol(tree.mol)
    for bond in tree.mol.GetBonds():
        a, b = sorted((bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()))
        if (a, b) not in bonds:
            out.RemoveBond(a, b)
    for atom in reversed(range(tree.mol.GetNumAtoms())):
        if atom not in atoms:
            out.RemoveAtom(atom)
    bare = Chem.RWMol()
    for atom in out.GetAtoms():
        new = Chem.Atom(atom.GetSymbol())
        new.SetFormalCharge(atom.GetFormalCharge())
        bare.AddAtom(new)
    for bond in out.GetBonds():
        bare.AddBond(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx(), bond.GetBondType())
    return canonical_flat(bare)

"""Which motifs and attachments there are: counted over molecules, kept in a file."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import rdkit
from rdkit import Chem

from molfusion.chem.motifs import fragments, kekulised
from molfusion.chem.motifs_assembly import rebuild, template
from molfusion.chem.motifs_tree import BOTH, CHILD, PARENT, MotifTree, motif_tree, relabel
from molfusion.chem.parse import ChemError

FORMAT = 1

# (element, charge) of the atoms a decoder can place, in the order of the released weights.
ATOMS = tuple(
    (symbol, charge)
    for symbol, charges in (
        ("B", (0, -1)), ("Br", (0, -1, 2, 3)), ("C", (0, 1, -1)), ("Cl", (0, 1, -1, 2, 3)), ("F", (0, 1, -1)),
        ("I", (-1, 0, 1, 2, 3)), ("N", (0, 1, -1)), ("O", (0, 1, -1)), ("P", (0, 1, -1)), ("S", (0, 1, -1)),
        ("Se", (0, 1, -1)), ("Si", (0, -1)),
    )
    for charge in charges
)  # fmt: skip
ATOM_INDEX = {atom: i for i, atom in enumerate(ATOMS)}
POSITIONS = 30  # children of a node, and 0


class VocabularyError(ValueError):
    """This file is no motif vocabulary; the message says why."""


@dataclass(frozen=True, eq=False)
class MotifVocabulary:
    """Fragments that are kept whole, and pairs (motif, attachment), which a network numbers in this order."""

    pairs: tuple[tuple[str, str], ...]
    fragments: tuple[str, ...] = ()
    compat: bool = False
    counts: tuple[int, ...] = ()  # of the pairs
    settings: dict[str, Any] = field(default_factory=dict)  # how it was made, the RDKit version among it

    @cached_property
    def motifs(self) -> tuple[str, ...]:
        return tuple(sorted({motif for motif, _ in self.pairs}))

    @cached_property
    def known(self) -> frozenset[str]:
        return frozenset(self.fragments)

    @cached_property
    def motif_index(self) -> dict[str, int]:
        return {motif: i for i, motif in enumerate(self.motifs)}

    @cached_property
    def pair_index(self) -> dict[tuple[str, str], int]:
        return {pair: i for i, pair in enumerate(self.pairs)}

    @cached_property
    def motif_of(self) -> tuple[int, ...]:
        """For each pair the number of its motif."""
        return tuple(self.motif_index[motif] for motif, _ in self.pairs)

    @cached_property
    def roots(self) -> tuple[bool, ...]:
        """Whether each pair can begin a molecule (not for `compat`)."""
        return tuple(not any(m in (PARENT, BOTH) for m in template(attach).labels) for _, attach in self.pairs)

    @cached_property
    def children(self) -> tuple[bool, ...]:
        """Whether each pair can be glued to another (not for `compat`)."""
        return tuple(bool(template(attach).glued) for _, attach in self.pairs)

    @cached_property
    def digest(self) -> str:
        text = json.dumps([self.pairs, self.fragments, self.compat])
        return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()

    def missing(self, tree: MotifTree) -> str:
        """The first pair of a tree that is not here; empty where all are."""
        return next((f"{m} {a}" for m, a, _ in pairs_of(tree, self.compat) if (m, a) not in self.pair_index), "")

    def save(self, path: Path) -> None:
        """JSON, a pair a line."""
        head = {"format": FORMAT, "compat": self.compat, **self.settings, "fragments": list(self.fragments)}
        counts = self.counts or (0,) * len(self.pairs)
        lines = ",\n".join(json.dumps([*pair, n]) for pair, n in zip(self.pairs, counts, strict=True))
        path.write_text(json.dumps(head, indent=1)[:-2] + f',\n "pairs": [\n{lines}\n]}}\n')


def load_vocabulary(path: Path) -> MotifVocabulary:
    """Read what `save` wrote.

    Raises:
        FileNotFoundError: no such file.
        VocabularyError: something else is in it.
    """
    try:
        found = json.loads(path.read_text())
        if found.pop("format") != FORMAT:
            raise VocabularyError(f"{path} has another format; make it again with `molfusion vocabulary`")
        pairs = found.pop("pairs")
        return MotifVocabulary(
            pairs=tuple((motif, attach) for motif, attach, _ in pairs),
            fragments=tuple(found.pop("fragments")),
            compat=found.pop("compat"),
            counts=tuple(n for *_, n in pairs),
            settings=found,
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, VocabularyError):
            raise
        raise VocabularyError(f"{path} is no motif vocabulary ({type(error).__name__}: {error})") from error


def released_vocabulary(pairs: str, fragments: str = "") -> MotifVocabulary:
    """From the text of the released `vocab.txt` (a pair a line) and `fragment.txt`.

    Raises:
        VocabularyError: a line that is not two words, or no SMILES.
    """
    rows = [tuple(line.split()) for line in pairs.splitlines() if line.strip()]
    if odd := next((row for row in rows if len(row) != 2), None):
        raise VocabularyError(f"expected a motif and an attachment in each line, found {' '.join(odd)!r}")
    known = []
    for line in fragments.split():
        mol = Chem.MolFromSmiles(line)
        if mol is None:
            raise VocabularyError(f"the fragment {line!r} is no SMILES")
        known.append(str(Chem.MolToSmiles(mol)))
    return MotifVocabulary(tuple((row[0], row[1]) for row in rows), tuple(known), compat=True, settings={"source": "released"})


def pairs_of(tree: MotifTree, compat: bool) -> list[tuple[str, str, str]]:
    """(motif, attachment, the same open everywhere) of every node; in `compat` (motif, attachment or anchor, "")."""
    if not compat:
        return [(node.motif, node.attach, node.wild) for node in tree.nodes]
    named = [(node.motif, name) for node in tree.nodes for name in (node.attach, *(smiles for _, smiles in node.anchors))]
    return [(motif, name, "") for motif, name in named]


def fitted_tree(smiles: str, words: MotifVocabulary, max_atoms: int) -> MotifTree:
    """The motif tree, its rare attachments replaced by those that are open everywhere, where these are in the vocabulary.

    Raises:
        ChemError: there is none; the reason.
    """
    tree = motif_tree(smiles, words.known, words.compat, max_atoms)
    for node in tree.nodes if not words.compat else ():
        if (node.motif, node.attach) not in words.pair_index and (node.motif, node.wild) in words.pair_index:
            relabel(tree.mol, node, {a: BOTH if a in node.glued else CHILD for a in node.atoms})
    return tree


def writable_tree(smiles: str, words: MotifVocabulary, max_atoms: int) -> MotifTree:
    """The tree that a decoder learns from, with candidates and known atoms only.

    Raises:
        ChemError: there is none; the reason.
    """
    tree = fitted_tree(smiles, words, max_atoms)
    for atom in tree.mol.GetAtoms():
        if (kind := (atom.GetSymbol(), atom.GetFormalCharge())) not in ATOM_INDEX:
            raise ChemError(f"an atom {kind[0]} of charge {kind[1]} is not among the {len(ATOMS)} known")
    if (most := max(node.position for node in tree.nodes)) >= POSITIONS:
        raise ChemError(f"{most} motifs at one, expected fewer than {POSITIONS}")
    if not words.compat:
        rebuild(tree)
    return tree


def count_fragments(smiles: str, compat: bool) -> list[str]:
    """Fragments of a molecule.

    Raises:
        ChemError: it has none.
    """
    return [fragment for fragment, _ in fragments(kekulised(smiles, compat))]


def vocabulary_of(
    counts: Counter[tuple[str, str, str]],
    fragments: tuple[str, ...] = (),
    compat: bool = False,
    min_count: int = 1,
    settings: dict[str, Any] | None = None,
) -> MotifVocabulary:
    """The pairs seen, in alphabetical order.

    Args:
        counts: of (motif, attachment, the same open everywhere); the last is empty in `compat`.
        fragments: that were kept whole.
        compat: keep every pair, as released.
        min_count: an attachment that is rarer counts as the one that is glued where it is and open everywhere. That one is
            kept for every place where a motif was ever glued.
        settings: how it was made.
    """
    pairs: Counter[tuple[str, str]] = Counter()
    for (motif, attach, wild), n in counts.items():
        pairs[motif, attach if compat or n >= min_count else wild] += n
        if not compat:
            pairs[motif, wild] += 0
    ordered = sorted(pairs)
    made_by = {"rdkit": rdkit.__version__, "min_count": 1 if compat else min_count, **(settings or {})}
    return MotifVocabulary(tuple(ordered), fragments, compat, tuple(pairs[p] for p in ordered), made_by)

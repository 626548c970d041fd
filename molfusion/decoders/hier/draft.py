"""One molecule in the making: its motifs so far, who has told whom, and the bonds' messages by number."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

from molfusion.chem.motifs_assembly import Assembly, Placed, Template, template
from molfusion.chem.motifs_assembly_compat import CompatAssembly, template_compat
from molfusion.chem.motifs_vocabulary import ATOM_INDEX, MotifVocabulary
from molfusion.chem.parse import ChemError
from molfusion.views.motif_schedule import settled

MOST_NEIGHBOURS = 12  # of a node, as released


@dataclass
class Spot:
    """A node: its motif in place, and the messages that have reached it."""

    motif: int
    pair: int
    placed: Placed
    parent: int  # -1 for the root
    position: int
    heard: list[tuple[int, int]] = field(default_factory=list)  # sender (a node), number of the message
    degree: int = 1  # neighbours that have sent one, counting what only the released code counts
    bonds: list[tuple[int, int]] = field(default_factory=list)  # its messages between atoms
    rounds: list[int] = field(default_factory=list)


class Draft:
    """Grows by `open` and `extend`; `stack` holds the nodes from the root to where it is."""

    def __init__(self, words: MotifVocabulary) -> None:
        self.words = words
        self.assembly = CompatAssembly() if words.compat else Assembly()
        self.spots: list[Spot] = []
        self.stack: list[int] = []
        self.into: dict[int, list[int]] = {}  # atom -> atoms with a message to it
        self.number: dict[tuple[int, int], int] = {}  # message between atoms -> its row in the batch
        self.codes: dict[tuple[int, int], tuple[int, int, int]] = {}

    @property
    def top(self) -> Spot:
        return self.spots[self.stack[-1]]

    def template(self, pair: int) -> Template:
        """Of an attachment by number.

        Raises:
            ChemError: it is no SMILES.
        """
        attach = self.words.pairs[pair][1]
        return template_compat(attach) if self.words.compat else template(attach)

    def open(self, motif: int, pair: int) -> None:
        """Place the root."""
        placed = self.assembly.root(self.template(pair))
        self._enter(Spot(motif, pair, placed, -1, 0), 0)

    def may_extend(self) -> bool:
        """Whether the newest node can have one more child."""
        spot = self.top
        return spot.degree < MOST_NEIGHBOURS and (self.words.compat or bool(spot.placed.template.open))

    def position(self, places: int) -> int:
        """What a child's first bonds are told of its place among the children, if it has so many places to go."""
        if self.words.compat:
            return self.top.degree if places > 1 else 0
        return self.top.degree if len(self.top.placed.atoms) > 2 else 0

    def placements(self, pair: int) -> list[tuple[int, ...]]:
        """Where an attachment could be glued to the newest node."""
        try:
            found = self.template(pair)
            places = self.assembly.placements(self.top.placed, found)
        except (ChemError, RuntimeError, ValueError):
            return []
        if len(places) > 1 and any((self.words.pairs[pair][0], name) not in self.words.pair_index for _, name in found.anchors):
            return []  # (`compat`) an anchor that training never showed has no score
        return places

    def extend(self, motif: int, pair: int, place: tuple[int, ...], position: int) -> bool:
        """Glue a child to the newest node and go there; False where chemistry forbids it."""
        parent = self.top
        try:
            placed = self.assembly.glue(parent.placed, self.template(pair), place)
        except (ChemError, RuntimeError, ValueError):
            placed = None
        if placed is None:
            return False
        self._enter(Spot(motif, pair, placed, self.stack[-1], parent.degree), position, set(place))
        return True

    def give_up(self) -> None:
        """Nothing can be glued: leave this node, and its parent hears nothing of it."""
        self.top.degree += 1
        self.stack.pop()
        if self.stack:
            self.top.degree += 1

    def smiles(self) -> str | None:
        """Canonical SMILES of what stands there; None where it is no molecule."""
        return self.assembly.smiles()

    def _enter(self, spot: Spot, position: int, glued: set[int] | None = None) -> None:
        motif, atoms = spot.placed.template, spot.placed.atoms
        glued = glued or set()
        for (i, j), kind in motif.bonds.items():
            a, b = atoms[i], atoms[j]
            spot.bonds.append((a, b))
            if (a, b) not in self.codes:
                at = position if a not in glued and b in glued else 0
                self.codes[a, b] = (ATOM_INDEX[motif.atoms[i]], kind, at)
                self.into.setdefault(b, []).append(a)
        spot.rounds = _rounds(tuple(motif.bonds))
        self.stack.append(len(self.spots))
        self.spots.append(spot)


@lru_cache(maxsize=4096)
def _rounds(bonds: tuple[tuple[int, int], ...]) -> list[int]:
    """How often each message of a motif changes, without limit for those on a ring."""
    inside = set(bonds)
    near = {(a, b): [(w, x) for w, x in inside if x == a and w != b] for a, b in bonds}
    return list(settled(near, 1 + len(bonds)).values())

"""The view `motifs`: every step in which a hierarchical decoder writes the molecule, as numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from molfusion.batch import Arrays, Record
from molfusion.chem.motifs_tree import MotifTree
from molfusion.chem.motifs_vocabulary import ATOM_INDEX, MotifVocabulary, load_vocabulary, writable_tree
from molfusion.chem.parse import ChemError
from molfusion.paths import package_path
from molfusion.views.base import Features, View, ViewError
from molfusion.views.motif_schedule import Rows, ordered, padded, stacked, table, widths

DEMO = "package://molfusion/demo/motifs.json"  # of the demo card
ROUNDS = 5  # of the messages between atoms, a step


@lru_cache(maxsize=8)
def motif_vocabulary(name: str) -> MotifVocabulary:
    """The vocabulary in a file, or `package://module/file`.

    Raises:
        FileNotFoundError: no such file.
        VocabularyError: it is no motif vocabulary.
    """
    path = package_path(name) if name.startswith("package://") else Path(name).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"no motif vocabulary {name!r}; `molfusion vocabulary CARD --out FILE` makes one")
    return load_vocabulary(path)


@dataclass
class MotifSteps(Arrays):
    """B molecules, S steps and A visits to atoms of all of them; messages in the order in which they can be computed."""

    bonds: Tensor  # [U, 4] distinct messages between atoms: type of the first, bond, child's position, atom map
    bond_code: Tensor  # [R] which of them each row is
    bond_near: Tensor  # [R, K] rows that it reads, from 1
    bond_sizes: list[int]
    bond_widths: list[int]
    atoms: Tensor  # [A, 2] type, atom map
    atom_near: Tensor  # [A, K] rows that arrive
    atom_step: Tensor  # [A] the step that visits it
    molecule: Tensor  # [S] the molecule of each step
    motif: Tensor  # [S] motif, pair: of the node a step is at
    pair: Tensor  # [S]
    at_root: Tensor  # [S] bool
    down: Tensor  # [S] float: 1 where it goes on to a child
    node_near: Tensor  # [S, K] messages that have reached the node, from 1
    message_step: Tensor  # [M] the step that sends each message
    message_position: Tensor  # [M] 0 to a child, its own position to a parent
    message_near: Tensor  # [M, K] messages that it reads
    message_sizes: list[int]
    message_widths: list[int]
    child_message: Tensor  # [C] for each new node the message to it, from 1
    child_molecule: Tensor  # [C]
    child: Tensor  # [C, 2] its motif and pair
    root: Tensor  # [B, 2] motif and pair of the first nodes
    glue: Tensor  # [G, 5] each anchor of each candidate: candidate, visit to the atom, pair, order, child's position
    candidate: Tensor  # [J, 2] each candidate's question and place among its candidates, 0 = the true one
    question_molecule: Tensor  # [Q]
    widest: int  # the largest cluster
    choices: int  # the most candidates of a question


@dataclass(frozen=True)
class MotifView(View):
    """How a hierarchical decoder builds the molecule from the motifs of `vocabulary` (a file, or `package://…`).

    A molecule without a motif tree, with a motif outside the vocabulary, or that its motifs do not rebuild, has none.
    """

    vocabulary: str = DEMO
    max_atoms: int = 100
    rounds: int = ROUNDS

    def featurise(self, record: Record) -> Features:
        words = motif_vocabulary(self.vocabulary)
        try:
            tree = writable_tree(record.smiles, words, self.max_atoms)
        except ChemError as error:
            raise ViewError(str(error)) from error
        if missing := words.missing(tree):
            raise ViewError(f"out of vocabulary: {missing} is not in {self.vocabulary}")
        return steps(tree, words, self.rounds)

    def collate(self, items: Sequence[Features]) -> MotifSteps:
        return collate(items)

    def name(self) -> str:
        """The settings' name and the vocabulary's content, as a file may change under its path."""
        return f"{super().name()}-{motif_vocabulary(self.vocabulary).digest}"


def steps(tree: MotifTree, words: MotifVocabulary, depth: int) -> Features:
    """The schedule of one molecule. Steps, visits, rows and messages are numbered within it."""
    mol, nodes = tree.mol, tree.nodes
    kinds = [ATOM_INDEX[atom.GetSymbol(), atom.GetFormalCharge()] for atom in mol.GetAtoms()]
    rows = Rows(depth)
    into: dict[int, list[int]] = {}
    visits: list[tuple[int, ...]] = []  # step, type, label of each atom that a step looks at
    levels: list[int] = []  # of the messages between motifs
    arriving, table_steps, reads, sends, glue = [], [], [], [], []
    heard: dict[int, list[tuple[int, int]]] = {}  # node -> (sender, message)
    for t, (x, y, down) in enumerate(tree.order):
        node = nodes[x]
        inside = set(node.atoms)
        mine = {(a, b): code for (a, b), code in tree.bonds.items() if a in inside and b in inside}
        for a, b in mine:
            if a not in (senders := into.setdefault(b, [])):
                senders.append(a)
        labels = {} if words.compat else node.labels
        rows.update({(a, b): (kinds[a], *code, labels.get(a, 0)) for (a, b), code in mine.items()}, into)
        here = {}
        for a in node.atoms:
            here[a] = len(visits)
            arriving += [(here[a], rows.current[w, a]) for w in into.get(a, ())]
            visits.append((t, kinds[a], labels.get(a, 0)))
        known = heard.setdefault(x, [])
        reads += [(t, message) for _, message in known]
        pair = words.pair_index[node.motif, node.attach]
        row = [words.motif_of[pair], pair, int(x == 0), down, 0, 0, 0]
        if y is not None:
            other = nodes[y]
            others = [message for sender, message in known if sender != y]
            sends += [(t, message) for message in others]
            levels.append(1 + max((levels[m - 1] for m in others), default=0))
            heard.setdefault(y, []).append((x, t + 1))
            row[4] = 0 if down else node.position
            if down:
                new = words.pair_index[other.motif, other.attach]
                row[5:] = words.motif_of[new], new
                names = [smiles for _, smiles in other.anchors] if words.compat else [other.attach] * len(other.glued)
                anchors = [words.pair_index[other.motif, name] for name in names]
                for k, place in enumerate(other.candidates):
                    if len(place) != len(anchors):
                        raise ViewError(f"{other.attach} is glued at {len(anchors)} places apart")
                    for j, (a, anchor) in enumerate(zip(place, anchors, strict=True)):
                        glue.append((t, k, here[a], anchor, j, other.position))
        table_steps.append(row)
    return {
        **rows.arrays("bond", 4),
        "atoms": table(visits, 3),
        "atom_reads": table(arriving, 2),
        "steps": table(table_steps, 7),
        "node_reads": table(reads, 2),
        "message_reads": table(sends, 2),
        "message_levels": np.array(levels, dtype=np.int16),
        "glue": table(glue, 6),
        "widest": np.array([max(len(node.atoms) for node in nodes)], dtype=np.int16),
    }


def collate(items: Sequence[Features]) -> MotifSteps:
    """All molecules as one: rows of a level beside each other."""

    def before(name: str) -> list[int]:
        return [0, *np.cumsum([len(i[name]) for i in items])]

    def tensor(array: object) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array))

    rows, visits, step, messages = (before(n) for n in ("bond_levels", "atoms", "steps", "message_levels"))
    place, bond_sizes = ordered(np.concatenate([i["bond_levels"] for i in items]))
    codes = stacked(items, "bond_codes", {})
    kinds, code = np.unique(codes, axis=0, return_inverse=True)
    bond_code = np.empty(len(codes), dtype=np.int64)
    bond_code[place] = code.reshape(-1)
    near = stacked(items, "bond_reads", {0: rows, 1: rows}) - 1
    bond_near = padded(np.stack([place[near[:, 0]], place[near[:, 1]] + 1], 1), len(codes))
    atoms = stacked(items, "atoms", {0: step})
    arriving = stacked(items, "atom_reads", {0: visits, 1: rows})
    arriving[:, 1] = place[arriving[:, 1] - 1] + 1

    sent, message_sizes = ordered(np.concatenate([i["message_levels"] for i in items]))
    facts = stacked(items, "steps", {})
    molecule = np.repeat(np.arange(len(items)), np.diff(step))
    last = np.array(step[1:]) - 1
    sender = np.delete(np.arange(len(facts)), last)  # the last step sends nothing
    number = np.full(len(facts), -1)  # of the message that a step sends, in the new order
    number[sender] = sent
    message_step = np.empty(len(sent), dtype=np.int64)
    message_step[sent] = sender

    def reading(name: str, rows_from: Sequence[int], place_of: np.ndarray | None, n: int) -> np.ndarray:
        pairs = stacked(items, name, {0: rows_from, 1: messages})
        pairs[:, 1] = sent[pairs[:, 1] - 1] + 1
        if place_of is not None:
            pairs[:, 0] = place_of[pairs[:, 0]]
        return padded(pairs, n)

    message_near = reading("message_reads", step, number, len(sent))
    children = np.flatnonzero(facts[:, 3])
    glue = stacked(items, "glue", {0: step, 2: visits})
    first = np.flatnonzero(np.r_[True, np.any(glue[1:, :2] != glue[:-1, :2], axis=1)][: len(glue)])
    candidate = np.repeat(np.arange(len(first)), np.diff(np.r_[first, len(glue)]))
    asked, question = np.unique(glue[first, 0], return_inverse=True)
    return MotifSteps(
        bonds=tensor(kinds),
        bond_code=tensor(bond_code),
        bond_near=tensor(bond_near),
        bond_sizes=bond_sizes,
        bond_widths=widths(bond_near, bond_sizes),
        atoms=tensor(atoms[:, 1:]),
        atom_near=tensor(padded(arriving, len(atoms))),
        atom_step=tensor(atoms[:, 0]),
        molecule=tensor(molecule),
        motif=tensor(facts[:, 0]),
        pair=tensor(facts[:, 1]),
        at_root=tensor(facts[:, 2] > 0),
        down=tensor(facts[:, 3].astype(np.float32)),
        node_near=tensor(reading("node_reads", step, None, len(facts))),
        message_step=tensor(message_step),
        message_position=tensor(facts[message_step, 4]),
        message_near=tensor(message_near),
        message_sizes=message_sizes,
        message_widths=widths(message_near, message_sizes),
        child_message=tensor(number[children] + 1),
        child_molecule=tensor(molecule[children]),
        child=tensor(facts[children, 5:]),
        root=tensor(facts[step[:-1], :2]),
        glue=tensor(np.column_stack([candidate, glue[:, 2:]])),
        candidate=tensor(np.column_stack([question.reshape(-1), glue[first, 1]])),
        question_molecule=tensor(molecule[asked]),
        widest=int(max(i["widest"][0] for i in items)),
        choices=int(glue[:, 1].max(initial=-1)) + 1,
    )

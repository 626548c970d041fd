"""The hierarchical encoder of Jin et al. (2020): messages between atoms, then attachments, then motifs."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from molfusion.batch import MoleculeBatch, Tokens
from molfusion.chem.motifs import BONDS
from molfusion.chem.motifs_vocabulary import ATOMS, POSITIONS
from molfusion.encoders.base import Encoder
from molfusion.nn.message_gru import MessageGRU
from molfusion.nn.message_lstm import Levels, MessageLSTM, gathered
from molfusion.views.motif_graph import MotifGraphs, MotifGraphView
from molfusion.views.motifs import DEMO, motif_vocabulary


class HierStates(NamedTuple):
    """All levels of a batch."""

    atoms: Tensor  # [A, H]
    pairs: Tensor  # [N, H]
    motifs: Tensor  # [N, H], what the motif level starts from
    heard: Tensor  # [N, H], sum of the motif level's messages to each


class HierEncoder(Encoder):
    """Tokens of a motif tree; sees no geometry and no stereo.

    Args:
        dim: D, and H of all messages.
        embed: width of the tables of motifs and attachments.
        vocabulary: a file of `molfusion vocabulary`, or `package://module/file`. With one made by `--compat` all is as
            released, and molecules outside it have no such view; otherwise what is unknown has rows of its own.
        atom_rounds: rounds of messages between atoms.
        motif_rounds: and between motifs; both as `depthG` and `depthT`.
        cell: of the messages.
        tokens: `root` is one token a molecule (mean over the parts of a salt), `motifs` one a motif, `both` the root first.
        max_atoms: larger molecules have no such view.
    """

    def __init__(
        self,
        dim: int = 250,
        embed: int = 250,
        vocabulary: str = DEMO,
        atom_rounds: int = 20,
        motif_rounds: int = 20,
        cell: Literal["lstm", "gru"] = "lstm",
        tokens: Literal["root", "motifs", "both"] = "root",
        max_atoms: int = 100,
    ) -> None:
        super().__init__()
        self.dim, self.tokens = dim, tokens
        self.view = MotifGraphView(vocabulary, atom_rounds, motif_rounds, max_atoms)
        self.views = frozenset({self.view})
        words = motif_vocabulary(vocabulary)
        unknown = 0 if words.compat else 1
        self.sizes = (len(ATOMS) + unknown, len(BONDS), POSITIONS)
        message = MessageLSTM if cell == "lstm" else MessageGRU
        self.motifs = nn.Embedding(len(words.motifs) + unknown, embed)
        self.pairs = nn.Embedding(len(words.pairs) + unknown, embed)
        self.atom_lstm = message(sum(self.sizes), dim)
        self.atom_out = nn.Linear(self.sizes[0] + dim, dim)
        self.pair_in = nn.Linear(embed + dim, dim)
        self.pair_lstm = message(dim + POSITIONS, dim)
        self.pair_out = nn.Linear(2 * dim, dim)
        self.motif_in = nn.Linear(embed + dim, dim)
        self.motif_lstm = message(dim + POSITIONS, dim)
        self.motif_out = nn.Linear(2 * dim, dim) if tokens != "root" else None
        self.root = nn.Linear(2 * dim, dim) if tokens != "motifs" else None
        for parameter in self.parameters():
            (nn.init.xavier_normal_ if parameter.ndim > 1 else nn.init.zeros_)(parameter)

    def forward(self, batch: MoleculeBatch) -> Tokens:
        graphs: MotifGraphs = batch[self.view]
        states = self.states(graphs)
        b = len(graphs.mask)
        both = torch.cat([states.motifs, states.heard], 1)
        x, mask = both.new_zeros(b, 0, self.dim), graphs.mask[:, :0]
        if self.root is not None:
            roots = torch.tanh(self.root(both[graphs.root]))
            owner = graphs.molecule[graphs.root]
            parts = torch.bincount(owner, minlength=b)[:, None]
            x = (roots.new_zeros(b, self.dim).index_add(0, owner, roots) / parts)[:, None]
            mask = torch.ones(b, 1, dtype=torch.bool, device=x.device)
        if self.motif_out is not None:
            out = F.relu(self.motif_out(both))
            motifs = out.new_zeros(*graphs.mask.shape, self.dim).index_put((graphs.molecule, graphs.place), out)
            x, mask = torch.cat([x.to(out.dtype), motifs], 1), torch.cat([mask, graphs.mask], 1)
        return Tokens(x, mask)

    def atom_states(self, graphs: MotifGraphs) -> Tensor:
        """Atom vectors [A, H]: the lowest level alone, which is all that 3M-Diffusion's own encoder keeps."""
        codes = torch.cat([F.one_hot(graphs.bonds[:, k], n) for k, n in enumerate(self.sizes)], 1)
        levels = Levels(graphs.bond_near, graphs.bond_sizes, graphs.bond_widths)
        sent = self.atom_lstm(self.atom_lstm.project(codes.float()), levels, graphs.bond_code)
        kinds = F.one_hot(graphs.atoms, self.sizes[0])
        x: Tensor = F.relu(self.atom_out(torch.cat([kinds, gathered(sent, graphs.atom_near)], 1)))
        return x

    def states(self, graphs: MotifGraphs) -> HierStates:
        """All levels, one after the other."""
        atoms = self.atom_states(graphs)
        inside = atoms.new_zeros(len(graphs.pair), self.dim).index_add(0, graphs.member[:, 0], atoms[graphs.member[:, 1]])
        pairs = F.relu(self.pair_in(torch.cat([self.pairs(graphs.pair), inside], 1)))
        pairs = F.relu(self.pair_out(torch.cat([pairs, self._heard(self.pair_lstm, pairs, graphs)], 1)))
        motifs = F.relu(self.motif_in(torch.cat([self.motifs(graphs.motif), pairs], 1)))
        return HierStates(atoms, pairs, motifs, self._heard(self.motif_lstm, motifs, graphs))

    def _heard(self, lstm: MessageLSTM | MessageGRU, nodes: Tensor, graphs: MotifGraphs) -> Tensor:
        """Sum of the messages that reach each motif [N, H]."""
        place = F.one_hot(graphs.edge[:, 1], POSITIONS)
        inputs = lstm.project(torch.cat([nodes[graphs.edge[:, 0]].float(), place], 1))
        levels = Levels(graphs.edge_near, graphs.edge_sizes, graphs.edge_widths)
        return gathered(lstm(inputs, levels), graphs.motif_near)

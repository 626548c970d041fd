"""The networks of the hierarchical decoder: atoms, attachments and motifs, each level a message LSTM, and four heads."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from molfusion.chem.motifs import BONDS
from molfusion.chem.motifs_vocabulary import ATOMS, POSITIONS, MotifVocabulary
from molfusion.nn.message_lstm import MessageLSTM
from molfusion.nn.precision import float32_island

LABELS = 4  # atom maps: none, glued to the parent, waiting for a child, both
_FORBIDDEN = -1000.0  # added to pairs of other motifs, as released


class HierNetwork(nn.Module):
    """Parameters, and how each part is computed from its inputs.

    Beside what is released (`compat`), atoms see their label in the motif that is being extended, and anchors know which
    of the motif's atoms they are.
    """

    motif_of: Tensor  # [V_p] the motif of each pair

    def __init__(self, dim: int, hidden: int, embed: int, words: MotifVocabulary) -> None:
        super().__init__()
        labels = 0 if words.compat else LABELS
        self.sizes = (len(ATOMS), len(BONDS), POSITIONS, labels)
        self.motifs, self.pairs = nn.Embedding(len(words.motifs), embed), nn.Embedding(len(words.pairs), embed)
        self.atom_lstm = MessageLSTM(sum(self.sizes), hidden)
        self.atom_out = nn.Linear(len(ATOMS) + labels + hidden, hidden)
        self.pair_in = nn.Linear(embed + hidden, hidden)
        self.pair_lstm = MessageLSTM(hidden + POSITIONS, hidden)
        self.pair_out = nn.Linear(2 * hidden, hidden)
        self.motif_in = nn.Linear(embed + hidden, hidden)
        self.motif_lstm = MessageLSTM(hidden + POSITIONS, hidden)
        self.motif_out = nn.Linear(2 * hidden, hidden)
        self.start = nn.Linear(dim, hidden)
        self.topology_head = _head(hidden + dim, hidden, 1)
        self.motif_head = _head(hidden + dim, hidden, len(words.motifs))
        self.pair_head = _head(hidden + dim, hidden, len(words.pairs))
        self.anchor = nn.Linear(hidden + embed + POSITIONS + (POSITIONS if labels else 0), hidden)
        self.assembly = nn.Linear(hidden, dim)
        self.register_buffer("motif_of", torch.tensor(words.motif_of), persistent=False)
        for parameter in self.parameters():
            (nn.init.xavier_normal_ if parameter.ndim > 1 else nn.init.zeros_)(parameter)

    # -- inputs --------------------------------------------------------------------------------------

    def bond_inputs(self, codes: Tensor) -> Tensor:
        """Codes [U, 4] (atom, bond, position, label) -> what the atom LSTM's gates make of them, [U, 4 H]."""
        ones = [F.one_hot(codes[:, k], n) for k, n in enumerate(self.sizes) if n]
        return self.atom_lstm.project(torch.cat(ones, 1).float())

    def atom_vectors(self, atoms: Tensor, arriving: Tensor) -> Tensor:
        """Atoms [A, 2] (type, label) and the sum of messages to them [A, H] -> [A, H]."""
        ones = [F.one_hot(atoms[:, k], n) for k, n in enumerate((self.sizes[0], self.sizes[3])) if n]
        x: Tensor = F.relu(self.atom_out(torch.cat([*ones, arriving], 1)))
        return x

    def sent(self, lstm: MessageLSTM, senders: Tensor, positions: Tensor) -> Tensor:
        """Inputs [M, 4 H] of messages from node states [M, H] with the position of the child."""
        return lstm.project(torch.cat([senders.float(), F.one_hot(positions, POSITIONS)], 1))

    def pair_nodes(self, pairs: Tensor, atoms: Tensor) -> Tensor:
        """Pairs [S] and the sum of their atoms' vectors [S, H] -> [S, H]."""
        return _relu(self.pair_in, self.pairs(pairs), atoms)

    def motif_nodes(self, motifs: Tensor, pairs: Tensor) -> Tensor:
        return _relu(self.motif_in, self.motifs(motifs), pairs)

    # -- heads ---------------------------------------------------------------------------------------

    def topology(self, nodes: Tensor, z: Tensor) -> Tensor:
        """Node vectors and latents -> logit of one more child, [n] float32."""
        x: Tensor = self.topology_head(torch.cat([nodes, z], 1)).squeeze(1).float()
        return x

    def motif_logits(self, messages: Tensor, z: Tensor) -> Tensor:
        """[n, V_m] float32."""
        x: Tensor = self.motif_head(torch.cat([messages, z], 1)).float()
        return x

    def pair_logits(self, messages: Tensor, z: Tensor) -> Tensor:
        """[n, V_p] float32, of whatever motif."""
        x: Tensor = self.pair_head(torch.cat([messages, z], 1)).float()
        return x

    def of_motif(self, logits: Tensor, motif: Tensor) -> Tensor:
        """Pair logits [n, V_p] with those of other motifs than [n] out of reach."""
        return logits + _FORBIDDEN * (self.motif_of[None, :] != motif[:, None])

    def anchors(self, atoms: Tensor, pairs: Tensor, order: Tensor, position: Tensor) -> Tensor:
        """Atom vectors [n, H] as anchors of a pair [n], the `order`-th of it, for a child at `position` -> [n, H]."""
        parts = [atoms, self.pairs(pairs), F.one_hot(position, POSITIONS)]
        if self.sizes[3]:
            parts.append(F.one_hot(order.clamp(max=POSITIONS - 1), POSITIONS))
        return _relu(self.anchor, *parts)

    def fit(self, places: Tensor, z: Tensor) -> Tensor:
        """Score [n] float32 of candidates, each the sum of its anchors [n, H]."""
        x = self.assembly(places)
        with float32_island(x):
            scores: Tensor = (x.float() * z.float()).sum(-1)
        return scores


def _head(dim_in: int, hidden: int, dim_out: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(dim_in, hidden), nn.ReLU(), nn.Linear(hidden, dim_out))


def _relu(layer: nn.Linear, *parts: Tensor) -> Tensor:
    x: Tensor = F.relu(layer(torch.cat(parts, 1)))
    return x

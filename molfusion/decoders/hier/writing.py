"""Latents to molecules: all molecules of a batch take a step at a time."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from molfusion.chem.motifs_vocabulary import ATOM_INDEX, MotifVocabulary
from molfusion.decoders.base import Stop
from molfusion.decoders.hier.choosing import Chooser
from molfusion.decoders.hier.draft import Draft
from molfusion.decoders.hier.network import HierNetwork
from molfusion.decoders.hier.states import States, ragged
from molfusion.views.motifs import ROUNDS


def write(
    network: HierNetwork, words: MotifVocabulary, latent: Tensor, beam: int, max_steps: int, stop: Stop | None = None
) -> list[str | None]:
    """Canonical SMILES of latents [B, D]; None where no molecule came out, or was not complete when stopped."""
    with torch.no_grad(), torch.autocast(latent.device.type, enabled=False):
        writer = Writer(network, words, latent.float(), beam)
        for _ in range(max_steps):
            if not (active := [m for m, draft in enumerate(writer.drafts) if draft.stack]):
                break
            if stop is not None and stop():
                return [None if draft.stack else draft.smiles() for draft in writer.drafts]
            writer.step(active)
        return [draft.smiles() for draft in writer.drafts]


class Writer:
    """The drafts of a batch and the message states that they read."""

    def __init__(self, network: HierNetwork, words: MotifVocabulary, z: Tensor, beam: int) -> None:
        self.net, self.words, self.z = network, words, z
        self.chooser = Chooser(network, words, beam)
        self.bonds = States(network.atom_lstm, 64 * len(z), z.device)
        self.pair_states = States(network.pair_lstm, len(z), z.device)
        self.motif_states = States(network.motif_lstm, len(z), z.device)
        self.bond_rows = self.messages = 0
        self.start = network.start(z)
        self.drafts = [Draft(words) for _ in z]
        for draft, first in zip(self.drafts, self.chooser.roots(self.start, z), strict=True):
            draft.open(*first)

    def step(self, active: list[int]) -> None:
        """Read the newest motif of these molecules; go back to its parent, or on to a new child."""
        index = self._numbers(active)
        z, drafts = self.z[index], [self.drafts[m] for m in active]
        spots = [draft.top for draft in drafts]
        atoms, row = self._atoms(drafts)
        owner = self._numbers([k for k, spot in enumerate(spots) for _ in spot.placed.atoms])
        inside = torch.zeros(len(active), atoms.shape[1], device=z.device).index_add(0, owner, atoms)
        heard = ragged([[n for _, n in spot.heard] for spot in spots], z.device)
        pairs = self.net.pair_nodes(self._numbers([s.pair for s in spots]), inside)
        read = F.relu(self.net.pair_out(torch.cat([pairs, self.pair_states.h[heard].sum(1)], 1)))
        motifs = self.net.motif_nodes(self._numbers([s.motif for s in spots]), read)
        first = self.start[index] * self._numbers([s.parent < 0 for s in spots])[:, None]
        nodes = F.relu(self.net.motif_out(torch.cat([motifs, self.motif_states.h[heard].sum(1) + first], 1)))
        more = (self.net.topology(nodes, z).sigmoid() > 0.5).tolist()

        growing = [wants and draft.may_extend() for draft, wants in zip(drafts, more, strict=True)]
        sent = self._send(drafts, growing, pairs, motifs, first)
        going = [k for k, grows in enumerate(growing) if grows]
        if going:
            messages = self.motif_states.h[self._numbers([sent[k] for k in going])]
            extended = [drafts[k] for k in going]
            vectors = [{a: atoms[row[k, a]] for a in spots[k].placed.atoms} for k in going]
            self.chooser.extend(extended, z[going], messages, vectors, [sent[k] for k in going])

    def _atoms(self, drafts: list[Draft]) -> tuple[Tensor, dict[tuple[int, int], int]]:
        """Update the messages inside each newest motif; its atoms' vectors, and the row of (draft, atom)."""
        rows, near, codes, rounds, arriving = [], [], [], [], []
        kinds: list[tuple[int, int]] = []  # type and label of each atom
        row = {}
        for k, draft in enumerate(drafts):
            spot, number, into = draft.top, draft.number, draft.into
            motif = spot.placed.template
            labels = [0] * len(motif.atoms) if self.words.compat else motif.labels
            for bond in spot.bonds:
                if bond not in number:
                    self.bond_rows += 1
                    number[bond] = self.bond_rows
            label = dict(zip(spot.placed.atoms, labels, strict=True))
            for a, b in spot.bonds:
                rows.append(number[a, b])
                near.append([number[w, a] for w in into[a] if w != b])
                codes.append((*draft.codes[a, b], label[a]))
            rounds += spot.rounds
            for a, kind in zip(spot.placed.atoms, motif.atoms, strict=True):
                row[k, a] = len(kinds)
                kinds.append((ATOM_INDEX[kind], label[a]))
                arriving.append([number[w, a] for w in into.get(a, ())])
        if rows:
            self.bonds.reserve(self.bond_rows)
            where, times, inputs = self._numbers(rows), self._numbers(rounds), self.net.bond_inputs(self._numbers(codes))
            neighbours = ragged(near, self.z.device)
            self.bonds.clear(where)
            self.bonds.update(where, inputs, neighbours)
            for r in range(2, min(ROUNDS, max(rounds)) + 1):
                due = torch.nonzero(times >= r).squeeze(1)
                self.bonds.update(where[due], inputs[due], neighbours[due])
        total = self.bonds.h[ragged(arriving, self.z.device)].sum(1)
        return self.net.atom_vectors(self._numbers(kinds), total), row

    def _send(self, drafts: list[Draft], growing: list[bool], pairs: Tensor, motifs: Tensor, first: Tensor) -> dict[int, int]:
        """One message from each newest motif, to a child without a name yet or to its parent, where the draft then is.

        Returns the number of the message of each draft that sent one.
        """
        sent: dict[int, int] = {}
        positions, near = [], []
        for k, (draft, grows) in enumerate(zip(drafts, growing, strict=True)):
            spot, here = draft.top, draft.stack[-1]
            if not grows:
                draft.stack.pop()
                if not draft.stack:
                    continue
            sent[k] = self.messages + len(sent) + 1
            near.append([n for sender, n in spot.heard if grows or sender != spot.parent])
            positions.append(0 if grows else draft.top.degree)
            if not grows:
                draft.top.heard.append((here, sent[k]))
                draft.top.degree += 1
        if sent:
            rows, senders = self._numbers(list(sent.values())), list(sent)
            self.messages += len(sent)
            read, place = ragged(near, self.z.device), self._numbers(positions)
            levels = (self.pair_states, self.net.pair_lstm, pairs), (self.motif_states, self.net.motif_lstm, motifs)
            for states, lstm, x in levels:
                states.reserve(self.messages)
                inputs = self.net.sent(lstm, x[senders], place)
                if states is self.motif_states:
                    inputs = inputs + F.pad(first[senders] @ states.weights.state.T, (0, first.shape[1]))
                states.update(rows, inputs, read)
        return sent

    def _numbers(self, values: object) -> Tensor:
        return torch.tensor(values, device=self.z.device)

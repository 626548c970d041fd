"""Which motif comes next, and where it is glued."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from molfusion.chem.motifs_vocabulary import MotifVocabulary
from molfusion.decoders.hier.draft import Draft
from molfusion.decoders.hier.network import HierNetwork

_OUT_OF_REACH = -1000.0

Choice = tuple[int, int]  # motif, pair
Question = tuple[int, Choice, list[tuple[int, ...]]]  # which draft, what to glue, where it could go


class Chooser:
    """Beam search of one step: the likeliest pairs in turn, until one can be glued."""

    def __init__(self, network: HierNetwork, words: MotifVocabulary, beam: int) -> None:
        self.net, self.words = network, words
        self.beam = min(beam, len(words.motifs), len(words.pairs))
        device = network.motif_of.device
        self.root_pairs, self.root_motifs = _masks(words, [p or words.compat for p in words.roots], device)
        self.child_pairs, self.child_motifs = _masks(words, [p or words.compat for p in words.children], device)

    def roots(self, start: Tensor, z: Tensor) -> list[Choice]:
        """The likeliest motif of each molecule's beginning, then its likeliest attachment."""
        motif = (self.net.motif_logits(start, z) + self.root_motifs).argmax(1)
        pair = self.net.of_motif(self.net.pair_logits(start, z) + self.root_pairs, motif).argmax(1)
        return list(zip(motif.tolist(), pair.tolist(), strict=True))

    def extend(
        self, drafts: Sequence[Draft], z: Tensor, messages: Tensor, atoms: Sequence[dict[int, Tensor]], sent: Sequence[int]
    ) -> None:
        """Give each draft a child, or go back two steps where nothing fits.

        Args:
            drafts: at the motif that is to be extended.
            z: their latents [n, D].
            messages: to the child, [n, H].
            atoms: vectors [H] of the atoms of that motif.
            sent: the numbers of these messages.
        """
        choices = self._likeliest(z, messages)
        waiting = dict.fromkeys(range(len(drafts)))
        for b in range(self.beam):
            asked: list[Question] = []
            for k in waiting:
                if b < len(choices[k]) and (places := drafts[k].placements(choices[k][b][1])):
                    asked.append((k, choices[k][b], places))
            for (k, choice, places), order in zip(asked, self._orders(asked, drafts, z, atoms), strict=True):
                draft = drafts[k]
                here, position = draft.stack[-1], draft.position(len(places))
                if any(draft.extend(*choice, places[i], position) for i in order):
                    draft.top.heard.append((here, sent[k]))
                    del waiting[k]
        for k in waiting:  # the released code counts the child that was not, and the parent it leaves hears nothing
            drafts[k].give_up()

    def _likeliest(self, z: Tensor, messages: Tensor) -> list[list[Choice]]:
        """Of each molecule the `beam` best pairs, by the sum of both log-probabilities, from the best motifs."""
        motif_scores, motifs = F.log_softmax(self.net.motif_logits(messages, z) + self.child_motifs, 1).topk(self.beam)
        logits = self.net.pair_logits(messages, z) + self.child_pairs
        scores, pairs = [], []
        for i in range(self.beam):
            score, pair = F.log_softmax(self.net.of_motif(logits, motifs[:, i]), 1).topk(self.beam)
            scores.append(score + motif_scores[:, i : i + 1])
            pairs.append(pair)
        best, index = torch.cat(scores, 1).topk(self.beam)
        chosen = torch.cat(pairs, 1).gather(1, index).tolist()
        of = motifs.gather(1, index // self.beam).tolist()
        reachable = (best > _OUT_OF_REACH / 2).tolist()
        return [
            [(m, p) for m, p, ok in zip(*row, strict=True) if ok or self.words.compat]
            for row in zip(of, chosen, reachable, strict=True)
        ]

    def _orders(
        self, asked: Sequence[Question], drafts: Sequence[Draft], z: Tensor, atoms: Sequence[dict[int, Tensor]]
    ) -> list[list[int]]:
        """For each question its placements from the best to the worst."""
        anchors, pairs, orders, positions, owner, sizes = [], [], [], [], [], []
        latents: list[int] = []  # the draft that each scored placement is of
        for k, (_, pair), places in asked:
            scored = drafts[k].template(pair).anchors
            sizes.append(len(places))
            if len(places) == 1:
                continue
            for place in places:
                for j, smiles in scored:
                    anchors.append(atoms[k][place[j]])
                    pairs.append(self.words.pair_index[self.words.pairs[pair][0], smiles])
                    orders.append(j)
                    positions.append(drafts[k].top.degree)
                    owner.append(len(latents))
                latents.append(k)
        if not latents:
            return [list(range(n)) for n in sizes]
        device = z.device
        vectors = self.net.anchors(
            torch.stack(anchors),
            torch.tensor(pairs, device=device),
            torch.tensor(orders, device=device),
            torch.tensor(positions, device=device),
        )
        summed = vectors.new_zeros(len(latents), vectors.shape[1]).index_add(0, torch.tensor(owner, device=device), vectors)
        scores = iter(self.net.fit(summed, z[latents]).tolist())
        out = []
        for n in sizes:
            mine = [next(scores) for _ in range(n)] if n > 1 else [0.0]
            out.append(sorted(range(n), key=lambda i: -mine[i]))
        return out


def _masks(words: MotifVocabulary, fits: list[bool], device: torch.device) -> tuple[Tensor, Tensor]:
    """What is added to logits of pairs [V_p] and motifs [V_m]: 0, or out of reach."""
    motifs = {m for m, fit in zip(words.motif_of, fits, strict=True) if fit}
    pair = [0.0 if fit else _OUT_OF_REACH for fit in fits]
    return torch.tensor(pair, device=device), torch.tensor(
        [0.0 if m in motifs else _OUT_OF_REACH for m in range(len(words.motifs))], device=device
    )

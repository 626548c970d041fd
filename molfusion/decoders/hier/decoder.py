"""The hierarchical decoder (Jin et al. 2020; 3M-Diffusion §3.2): motif by motif, depth first, each glued to its parent."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from molfusion.batch import MoleculeBatch
from molfusion.chem.motifs_vocabulary import MotifVocabulary
from molfusion.decoders.base import LatentDecoder, Stop
from molfusion.decoders.hier.network import HierNetwork
from molfusion.errors import MolfusionError
from molfusion.nn.message_lstm import Levels, gathered
from molfusion.nn.precision import float32_island
from molfusion.views.motifs import DEMO, MotifSteps, MotifView, motif_vocabulary


class VocabularyMismatch(MolfusionError, ValueError):
    """The vocabulary is not of the kind that this decoder takes; the message says which is."""


class Predictions(NamedTuple):
    """What the decoder says at every decision of a batch, given all true decisions before it; float32."""

    topology: Tensor  # [S] logit of one more child
    motif: Tensor  # [B + C, V_m] the roots, then every other node
    pair: Tensor  # [B + C, V_p], pairs of other motifs than the true one at -1000
    assembly: Tensor  # [Q, J] score of every candidate, the true one first


class HierDecoder(LatentDecoder):
    """A latent to a molecule, motif by motif.

    Each step extends the newest motif or goes back; an extension names a motif, then its attachment, then where it is
    glued. All steps of a batch are computed at once in training, as their order is known.

    Args:
        dim: D of the latent.
        hidden: H of messages and heads.
        embed: width of the tables of motifs and attachments.
        vocabulary: a file of `molfusion vocabulary`, or `package://module/file`.
        compat: as released (`hier_compat`): candidates whose labels nobody sees, padding among them, child position 0
            where there is one candidate only. It takes a vocabulary made with `--compat`.
        max_atoms: a larger molecule is not trained on.
        beam: pairs tried at each extension.
        max_steps: where writing stops.
    """

    def __init__(
        self,
        dim: int = 24,
        hidden: int = 250,
        embed: int = 250,
        vocabulary: str = DEMO,
        compat: bool = False,
        max_atoms: int = 100,
        beam: int = 5,
        max_steps: int = 100,
    ) -> None:
        super().__init__()
        self.dim, self.beam, self.max_steps = dim, beam, max_steps
        self.view = MotifView(vocabulary, max_atoms)
        self.views = frozenset({self.view})
        self.words = _vocabulary(vocabulary, compat)
        self.network = HierNetwork(dim, hidden, embed, self.words)

    def reconstruction(self, latent: Tensor, batch: MoleculeBatch) -> Tensor:
        return torch.stack(list(self.parts(latent, batch).values())).sum()

    def parts(self, latent: Tensor, batch: MoleculeBatch) -> dict[str, Tensor]:
        """Negative log-likelihoods of `topology`, `motif`, `attachment` and `assembly`: sums, a molecule's share each."""
        steps: MotifSteps = batch[self.view]
        said, b = self.predict(latent, steps), len(latent)
        labels = torch.cat([steps.root, steps.child])
        with float32_island(latent):
            return {
                "topology": F.binary_cross_entropy_with_logits(said.topology, steps.down, reduction="sum") / b,
                "motif": F.cross_entropy(said.motif, labels[:, 0], reduction="sum") / b,
                "attachment": F.cross_entropy(said.pair, labels[:, 1], reduction="sum") / b,
                "assembly": -F.log_softmax(said.assembly, 1)[:, :1].sum() / b,
            }

    def predict(self, latent: Tensor, steps: MotifSteps) -> Predictions:
        """Every decision, given those before it."""
        net, z = self.network, latent
        bonds = Levels(steps.bond_near, steps.bond_sizes, steps.bond_widths)
        messages = Levels(steps.message_near, steps.message_sizes, steps.message_widths)
        between = net.atom_lstm(net.bond_inputs(steps.bonds), bonds, steps.bond_code)
        atoms = net.atom_vectors(steps.atoms, gathered(between, steps.atom_near))
        inside = torch.zeros(len(steps.pair), atoms.shape[1], dtype=atoms.dtype, device=atoms.device)
        pairs = net.pair_nodes(steps.pair, inside.index_add(0, steps.atom_step, atoms))
        sent = net.pair_lstm(net.sent(net.pair_lstm, pairs[steps.message_step], steps.message_position), messages)
        pairs = F.relu(net.pair_out(torch.cat([pairs, gathered(sent, steps.node_near)], 1)))

        nodes = net.motif_nodes(steps.motif, pairs)
        start = net.start(z).float()
        first = start[steps.molecule] * steps.at_root[:, None]  # one more message, to every root
        inputs = net.sent(net.motif_lstm, nodes[steps.message_step], steps.message_position)
        with float32_island(inputs):
            extra = first[steps.message_step] @ net.motif_lstm.weights().state.T
        sent = net.motif_lstm(inputs + F.pad(extra, (0, start.shape[1])), messages)
        nodes = F.relu(net.motif_out(torch.cat([nodes, gathered(sent, steps.node_near) + first], 1)))

        news = torch.cat([start, sent[steps.child_message]])
        theirs = torch.cat([z, z[steps.child_molecule]])
        labels = torch.cat([steps.root, steps.child])[:, 0]
        return Predictions(
            net.topology(nodes, z[steps.molecule]),
            net.motif_logits(news, theirs),
            net.of_motif(net.pair_logits(news, theirs), labels),
            self._assembly(atoms, z, steps),
        )

    def _assembly(self, atoms: Tensor, z: Tensor, steps: MotifSteps) -> Tensor:
        """[Q, J]. Places without a candidate are impossible; in `compat` they score what nothing scores."""
        net, glue = self.network, steps.glue
        anchors = net.anchors(atoms[glue[:, 1]], glue[:, 2], glue[:, 3], glue[:, 4])
        places = anchors.new_zeros(len(steps.candidate), anchors.shape[1]).index_add(0, glue[:, 0], anchors)
        asked = z[steps.question_molecule]
        question, place = steps.candidate.unbind(1)
        scores = net.fit(places, asked[question])
        if self.words.compat:
            empty = net.fit(places.new_zeros(len(asked), places.shape[1]), asked)
            width = 2 * steps.widest
        else:
            empty = scores.new_full((len(asked),), float("-inf"))
            width = steps.choices
        return empty[:, None].repeat(1, width).index_put((question, place), scores)

    @torch.no_grad()
    def decode(self, latent: Tensor, stop: Stop | None = None) -> list[str | None]:
        from molfusion.decoders.hier.writing import write

        return write(self.network, self.words, latent, self.beam, self.max_steps, stop)


def _vocabulary(name: str, compat: bool) -> MotifVocabulary:
    words = motif_vocabulary(name)
    if words.compat != compat:
        made, wanted = ("with", "without") if words.compat else ("without", "with")
        raise VocabularyMismatch(f"the motif vocabulary {name!r} was made {made} --compat; this decoder needs one {wanted} it")
    return words

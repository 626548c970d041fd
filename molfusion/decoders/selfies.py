"""A latent to SELFIES, token by token: any row of tokens is a molecule, nearly (molfusion/chem/selfies.py)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from molfusion.batch import MoleculeBatch
from molfusion.chem.selfies import Constraints
from molfusion.decoders.base import LatentDecoder, Stop
from molfusion.nn.precision import float32_island
from molfusion.views.selfies import BOS, BUILT_IN, EOS, PAD, UNK, SelfiesView
from molfusion.views.text import Texts

_LOOK = 8  # tokens between two looks at whether all molecules have ended, which waits for the device


class SelfiesDecoder(LatentDecoder):
    """A GRU that starts from the latent and reads it again beside every token.

    Args:
        dim: D of the latent.
        hidden: width of the GRU.
        layers: of the GRU.
        embed: width of a token.
        dropout: of the GRU's output.
        word_dropout: share of the tokens before that are hidden in training, so that the latent has to say it.
        length: longest molecule in tokens; longer ones take no part in training.
        vocabulary: of the view `selfies`: `molfusion`, or a file with a token a line.
        constraints: of the view likewise.
    """

    def __init__(
        self,
        dim: int = 24,
        hidden: int = 256,
        layers: int = 1,
        embed: int = 64,
        dropout: float = 0.0,
        word_dropout: float = 0.0,
        length: int = 128,
        vocabulary: str = BUILT_IN,
        constraints: Constraints = "default",
    ) -> None:
        super().__init__()
        self.dim, self.hidden, self.layers, self.word_dropout = dim, hidden, layers, word_dropout
        self.view = SelfiesView(vocabulary, length, constraints=constraints)
        self.views = frozenset({self.view})
        self.words = nn.Embedding(self.view.vocab_size, embed)
        self.start = nn.Linear(dim, layers * hidden)
        self.rnn = nn.GRU(embed + dim, hidden, layers, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(hidden, self.view.vocab_size)

    def reconstruction(self, latent: Tensor, batch: MoleculeBatch) -> Tensor:
        tokens: Texts = batch[self.view]
        given, wanted = tokens.ids[:, :-1], tokens.ids[:, 1:]
        if self.training and self.word_dropout:
            hidden = (torch.rand(given.shape, device=given.device) < self.word_dropout) & (given != BOS)
            given = given.masked_fill(hidden, UNK)
        with float32_island(latent):
            logits, _ = self._step(given, latent.float(), self._begin(latent.float()))
            return F.cross_entropy(logits.flatten(0, 1), wanted.flatten(), ignore_index=PAD, reduction="sum") / len(latent)

    @torch.no_grad()
    def decode(self, latent: Tensor, stop: Stop | None = None) -> list[str | None]:
        """The likeliest token at each place."""
        ids = self.greedy(latent, stop)
        whole = ids.shape[1] == self.view.length - 1  # else they have all ended, or were stopped
        return [self.view.decode(row) if whole or EOS in row else None for row in ids.tolist()]

    def greedy(self, latent: Tensor, stop: Stop | None = None) -> Tensor:
        """Token ids [B, L] after [BOS]; what follows [EOS] means nothing."""
        found: list[Tensor] = []
        with float32_island(latent):
            latent = latent.float()
            state = self._begin(latent)
            token = torch.full((len(latent), 1), BOS, device=latent.device)
            ended = torch.zeros_like(token, dtype=torch.bool)
            for place in range(self.view.length - 1):
                if len(latent) == 0 or (place % _LOOK == 0 and bool(ended.all())):
                    break
                if stop is not None and stop():
                    break
                logits, state = self._step(token, latent, state)
                logits[..., [PAD, BOS, UNK]] = -torch.inf
                token = logits.argmax(-1)
                ended = ended | (token == EOS)
                found.append(token)
        return torch.cat(found, 1) if found else torch.zeros((len(latent), 0), dtype=torch.long)

    def _begin(self, latent: Tensor) -> Tensor:
        """State before the first token: [layers, B, H]."""
        return torch.tanh(self.start(latent)).view(len(latent), self.layers, self.hidden).transpose(0, 1).contiguous()

    def _step(self, ids: Tensor, latent: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Logits [B, L, V] of the token after each of ids [B, L], and the state after them."""
        beside = latent.unsqueeze(1).expand(-1, ids.shape[1], -1)
        out, state = self.rnn(torch.cat([self.words(ids), beside], -1), state)
        return self.out(self.dropout(out)), state

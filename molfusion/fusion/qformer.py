"""The Q-Former of 3D-MoLM (Li et al. 2024): learned queries read an encoder's tokens, guided by captions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from molfusion.batch import MoleculeBatch, Tokens, length_mask
from molfusion.encoders.base import Encoder, Frozen, MatchItem, NotApplicable
from molfusion.nn.contrastive import Contrast, Gather, contrastive
from molfusion.nn.init import bert_std
from molfusion.nn.precision import float32_island
from molfusion.nn.query_bert import KeyValue, QueryBert
from molfusion.views.text import Texts, TextView
from molfusion.views.tokenizer import EMBEDDED


class Negatives(NamedTuple):
    """For each text the index of a wrong molecule, for each molecule that of a wrong text; [B] each."""

    molecules: Tensor
    texts: Tensor


class Read(NamedTuple):
    """A batch of molecules as the queries see it."""

    states: Tensor  # [B, N, E] the encoder's tokens after their norm
    bias: Tensor  # [B, 1, 1, N] additive, 0 where a state may be seen
    queries: Tensor  # [B, Q, D] what the queries became
    cache: list[KeyValue]


class QFormer(Encoder):
    """Q query tokens over any encoder, trained by contrasting, matching and captioning (3D-MoLM §3.2).

    Defaults are the published size: SciBERT's, with 8 queries and cross-attention in every second layer.

    Args:
        encoder: what the queries read; `Frozen(…)` to leave it as it is.
        queries: Q.
        dim: D of the queries and of the text branch.
        layers: layers of the stack.
        heads: attention heads.
        ffn: feed-forward width.
        cross_every: cross-attention in layers 0, n, 2n, …
        width: P of the shared space.
        temperature: of the contrastive loss, fixed.
        smoothing: label smoothing of the captioning loss.
        gather: how features of other ranks enter the contrastive loss; the official form carries no gradient.
        tokenizer: of the captions.
        length: longest caption in tokens.
        dropout: in the stack.
        mask: `legacy_inverted` is what released checkpoints were trained with: the official code hands its padding mask to
            the queries as what they may see, so that they read padding alone. Needs a `UniMol` with `spare_padding`, which
            makes that independent of the batch.

    Raises:
        NotApplicable: `legacy_inverted` over an encoder that leaves no padding to read.
    """

    def __init__(
        self,
        encoder: Encoder,
        queries: int = 8,
        dim: int = 768,
        layers: int = 12,
        heads: int = 12,
        ffn: int = 3072,
        cross_every: int = 2,
        width: int = 256,
        temperature: float = 0.1,
        smoothing: float = 0.1,
        gather: Gather = "detached",
        tokenizer: str = EMBEDDED,
        length: int = 256,
        dropout: float = 0.1,
        mask: Literal["correct", "legacy_inverted"] = "correct",
    ) -> None:
        super().__init__()
        inner = encoder.encoder if type(encoder) is Frozen else encoder
        if mask == "legacy_inverted" and not getattr(inner, "spare_padding", 0):
            raise NotApplicable(
                f"mask: legacy_inverted reads padding, and {type(inner).__name__} leaves none for sure: "
                "use a UniMol with spare_padding: 1"
            )
        self.encoder, self.mask = encoder, mask
        self.dim, self.temperature, self.smoothing, self.gather = dim, temperature, smoothing, gather
        self.views = encoder.views
        self.text = TextView(tokenizer, length)
        self.loss_views = frozenset({self.text})
        vocab = self.text.vocab_size
        self.decoder_start = vocab  # [DEC], appended to the tokenizer's own vocabulary
        self.encoder_norm = nn.LayerNorm(encoder.dim)
        self.query = nn.Parameter(torch.randn(1, queries, dim) * bert_std(dim))
        self.bert = QueryBert(vocab + 1, dim, encoder.dim, layers, heads, ffn, cross_every, max(512, length), dropout)
        self.molecule_head = nn.Linear(dim, width)
        self.text_head = nn.Linear(dim, width)
        self.match_head = nn.Linear(dim, 2)

    def forward(self, batch: MoleculeBatch) -> Tokens:
        x = self.read(self.encoder(batch)).queries
        return Tokens(x, torch.ones(x.shape[:2], dtype=torch.bool, device=x.device))

    def read(self, tokens: Tokens) -> Read:
        """Let the queries read an encoder's tokens."""
        states = self.encoder_norm(tokens.x)
        bias = _states_bias(self._seen(tokens))
        queries, cache = self.bert.read_states(self.query.expand(len(states), -1, -1), states, bias)
        return Read(states, bias, queries, cache)

    def _seen(self, tokens: Tokens) -> Tensor:
        """[B, N] which of the encoder's tokens the queries may see."""
        return tokens.mask if self.mask == "correct" else ~tokens.mask

    # -- Aligned -------------------------------------------------------------------------------------

    def embed_molecules(self, batch: MoleculeBatch) -> Tensor:
        """[B, Q, P] unit norm."""
        return self.project(self.read(self.encoder(batch)).queries)

    def embed_texts(self, batch: MoleculeBatch) -> Tensor:
        """[B, P] unit norm."""
        texts: Texts = batch[self.text]
        return self.project_text(texts)

    def project(self, queries: Tensor) -> Tensor:
        """Queries [B, Q, D] into the shared space [B, Q, P]."""
        return F.normalize(self.molecule_head(queries).float(), dim=-1)

    def project_text(self, texts: Texts) -> Tensor:
        """Captions into the shared space [B, P], by their first token."""
        return F.normalize(self.text_head(self.bert.read_text(texts.ids, texts.mask, wanted=1)[:, 0]).float(), dim=-1)

    def losses(self, batch: MoleculeBatch) -> dict[str, Tensor]:
        """`contrast`, `match`, `caption`, to be added up as they are."""
        return self.losses_of(self.encoder(batch), batch[self.text])

    def losses_of(self, tokens: Tokens, texts: Texts, negatives: Negatives | None = None) -> dict[str, Tensor]:
        """The three losses from an encoder's tokens; `negatives` are drawn if not given."""
        read = self.read(tokens)
        contrast = contrastive(self.project(read.queries), self.project_text(texts), self.temperature, self.gather)
        losses = {"contrast": contrast.loss, "caption": self._caption_loss(read, texts)}
        if len(texts.ids) > 1:  # one pair has no negative
            losses["match"] = self._match_loss(read, texts, negatives or draw_negatives(contrast))
        return losses

    # -- the two losses that need both sides ---------------------------------------------------------

    def match_logits(self, states: Tensor, bias: Tensor, texts: Texts) -> Tensor:
        """[B, 2] logits of (wrong, right) for molecule i with text i: mean over queries of the head."""
        queries = self.query.expand(len(states), -1, -1)
        read = self.bert.read_both(queries, texts.ids, texts.mask, states, bias, wanted=queries.shape[1])
        logits: Tensor = self.match_head(read).mean(1)
        return logits

    def match_items(self, batch: MoleculeBatch) -> list[MatchItem]:
        """What `match_scores` needs of each molecule of a batch."""
        tokens, texts = self.encoder(batch), batch[self.text]
        states = self.encoder_norm(tokens.x)
        return [
            MatchItem(x[seen].cpu(), ids[real].cpu())
            for x, seen, ids, real in zip(states, self._seen(tokens), texts.ids, texts.mask, strict=True)
        ]

    @torch.no_grad()
    def match_scores(
        self, items: Sequence[MatchItem], pairs: NDArray[np.int64], batch_size: int = 256
    ) -> NDArray[np.float64]:
        """Logit of "these belong together" for molecule i and caption j of each row of pairs [n, 2]."""
        device = self.query.device
        found = []
        for start in range(0, len(pairs), batch_size):
            chunk = pairs[start : start + batch_size]
            states, seen = _padded([items[i].states for i in chunk[:, 0]])
            ids, real = _padded([items[j].ids for j in chunk[:, 1]])
            texts = Texts(ids.to(device), real.to(device))
            logits = self.match_logits(states.to(device), _states_bias(seen.to(device)), texts)
            found.append(logits[:, 1].double().cpu().numpy())
        return np.concatenate(found) if found else np.zeros(0)

    def _match_loss(self, read: Read, texts: Texts, negatives: Negatives) -> Tensor:
        """Three-way batch: the true pairs, each text with a wrong molecule, each molecule with a wrong text."""
        b = len(texts.ids)
        m, t = negatives
        states = torch.cat([read.states, read.states[m], read.states])
        bias = torch.cat([read.bias, read.bias[m], read.bias])
        paired = Texts(torch.cat([texts.ids, texts.ids, texts.ids[t]]), torch.cat([texts.mask, texts.mask, texts.mask[t]]))
        labels = torch.zeros(3 * b, dtype=torch.long, device=states.device)
        labels[:b] = 1
        return F.cross_entropy(self.match_logits(states, bias, paired).float(), labels)

    def _caption_loss(self, read: Read, texts: Texts) -> Tensor:
        states = self.bert.read_caption(self.decoder_ids(texts), texts.mask, read.cache)[:, :-1]
        told = texts.mask[:, 1:]
        logits = self.bert.next_word(states[told])  # the vocabulary is wide: not for padding
        with float32_island(logits):
            return F.cross_entropy(logits.float(), texts.ids[:, 1:][told], label_smoothing=self.smoothing)

    def decoder_ids(self, texts: Texts) -> Tensor:
        """The caption with [CLS] replaced by [DEC]."""
        ids = texts.ids.clone()
        ids[:, 0] = self.decoder_start
        return ids

    @property
    def blocks(self) -> list[nn.Module]:
        return [*self.encoder.blocks, *self.bert.layers]

    def aligning(self) -> Iterator[nn.Parameter]:
        """What only the losses need: `forward` reads no text. A task that trains by tokens alone leaves it as it is."""
        yield from (p for head in (self.molecule_head, self.text_head, self.match_head) for p in head.parameters())
        yield from self.bert.text_parameters()


def _padded(rows: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Rows of [n_i, …] as [B, max n, …] and their mask."""
    mask = length_mask([len(r) for r in rows])
    return nn.utils.rnn.pad_sequence(list(rows), batch_first=True), mask


def _states_bias(mask: Tensor) -> Tensor:
    """mask [B, N] (True = may be seen) -> additive [B, 1, 1, N]."""
    lowest = torch.finfo(torch.float32).min
    return torch.zeros(mask.shape, device=mask.device).masked_fill(~mask, lowest)[:, None, None, :]


def draw_negatives(contrast: Contrast) -> Negatives:
    """Hard negatives of this rank's batch: drawn by softmax(logits) + 1e-4, never the pair itself."""
    return Negatives(
        molecules=torch.multinomial(negative_weights(contrast.text_logits), 1).squeeze(1),
        texts=torch.multinomial(negative_weights(contrast.molecule_logits), 1).squeeze(1),
    )


def negative_weights(logits: Tensor) -> Tensor:
    """[B, B] drawing weights."""
    weights = torch.softmax(logits.detach(), dim=1) + 1e-4
    return weights.fill_diagonal_(0)

"""Find the caption of a molecule and the molecule of a caption."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from lightning.pytorch.cli import OptimizerCallable
from numpy.typing import NDArray
from torch import Tensor, nn

from molfusion.batch import MoleculeBatch
from molfusion.encoders.base import Aligned, Encoder, Matching, NotApplicable, merge_views
from molfusion.metrics import retrieval as metrics
from molfusion.nn.contrastive import Gather, contrastive, similarity
from molfusion.nn.pooling import masked_mean
from molfusion.tasks.base import Task, named_rows
from molfusion.tasks.schedule import Schedule
from molfusion.views.base import View


class DualTower(nn.Module):
    """Any molecule encoder beside any text encoder: masked mean, linear, unit norm; InfoNCE on their cosines."""

    def __init__(
        self, encoder: Encoder, text: Encoder, width: int | None, temperature: float, gather: Gather, learned: bool = True
    ) -> None:
        super().__init__()
        if width is None and encoder.dim != text.dim:
            raise NotApplicable(f"without a width the towers must end in one space; they end in {encoder.dim} and {text.dim}")
        self.encoder, self.text = encoder, text
        self.loss_views: frozenset[View] = text.views
        self.gather: Gather = gather
        self.molecule_head: nn.Module = nn.Identity() if width is None else nn.Linear(encoder.dim, width)
        self.text_head: nn.Module = nn.Identity() if width is None else nn.Linear(text.dim, width)
        # Learned, in logs; a scalar would not shard.
        self.log_scale = nn.Parameter(torch.full((1,), -float(np.log(temperature))), requires_grad=learned)

    def embed_molecules(self, batch: MoleculeBatch) -> Tensor:
        """[B, 1, P] unit norm."""
        return _projected(self.encoder, self.molecule_head, batch).unsqueeze(1)

    def embed_texts(self, batch: MoleculeBatch) -> Tensor:
        """[B, P] unit norm."""
        return _projected(self.text, self.text_head, batch)

    def losses(self, batch: MoleculeBatch) -> dict[str, Tensor]:
        temperature = torch.exp(-self.log_scale.clamp(max=4.6))  # not below 0.01
        sides = self.embed_molecules(batch), self.embed_texts(batch)
        return {"contrast": contrastive(*sides, temperature, self.gather).loss}


def _projected(encoder: Encoder, head: nn.Module, batch: MoleculeBatch) -> Tensor:
    tokens = encoder(batch)
    return F.normalize(head(masked_mean(tokens.x, tokens.mask)).float(), dim=-1)


class Retrieval(Task):
    """Over the whole split, both directions, ties counted fairly; per kind of fact and within same-graph pools where
    the card has them.

    Without a `text` encoder the encoder must align itself (as `QFormer` does) and trains by its own losses.
    """

    needs = "texts"

    def __init__(
        self,
        encoder: Encoder,
        text: Encoder | None = None,
        width: int | None = 256,
        temperature: float = 0.1,
        learn_temperature: bool = True,
        gather: Gather = "gradient",
        rerank: int = 0,
        weights: dict[str, float] | None = None,
        optimizer: OptimizerCallable = torch.optim.AdamW,
        schedule: Schedule | None = None,
        start: Path | None = None,
    ) -> None:
        """Retrieval with two towers, or with an encoder that aligns itself.

        Args:
            encoder: reads the molecule.
            text: reads the caption; None if `encoder` does.
            width: P of the shared space (two towers). None: the encoders end in it themselves, such as two `Projection`s,
                and what is exported holds their projections.
            temperature: to begin with (two towers).
            learn_temperature: or keep it (two towers).
            gather: whether features from other ranks carry a gradient (two towers).
            rerank: score the best so many once more by the encoder's matching head, as rows of their own; 0: do not.
            weights: of the encoder's own losses; 1 where none is given, and at 0 a loss is left out.
            optimizer: given the parameters that train.
            schedule: of its learning rate.
            start: a checkpoint of the same task to start from.
        """
        super().__init__(optimizer, schedule, start, weights)
        if text is None and not isinstance(encoder, Aligned):
            raise NotApplicable(
                f"{type(encoder).__name__} does not align itself with text: give Retrieval a `text` encoder"
            )
        if rerank and not (text is None and isinstance(encoder, Matching)):
            raise NotApplicable(f"rerank: {type(encoder).__name__} has no matching head; set rerank to 0")
        self.rerank = rerank
        towers: Any = encoder if text is None else DualTower(encoder, text, width, temperature, gather, learn_temperature)
        self.towers = towers
        self._text = text
        self.encoder = encoder
        self.views = merge_views(encoder) | towers.loss_views

    def losses(self, batch: MoleculeBatch) -> dict[str, Tensor]:
        losses: dict[str, Tensor] = self.towers.losses(batch)
        return losses

    def observe(self, batch: MoleculeBatch) -> dict[str, Any]:
        kept = {
            "ids": batch.ids,
            "groups": batch.groups,
            "scopes": batch.scopes,
            "pools": batch.pools,
            "smiles": batch.smiles,
            "captions": batch.texts,
            "texts": self.towers.embed_texts(batch).cpu(),
            "molecules": [None] * len(batch),
            "items": [None] * len(batch),
        }
        if "all" in batch.scopes:  # a scope restricts the text: the molecule is embedded already
            kept["molecules"] = self.towers.embed_molecules(batch).cpu()
            if self.rerank:
                kept["items"] = self.towers.match_items(batch)
        return kept

    def predictions(self, batch: MoleculeBatch) -> list[dict[str, Any]]:
        """Each molecule and its text in the shared space: `molecule` [Q × P] and `text` [P], unit norm."""
        molecules = self.towers.embed_molecules(batch).flatten(1).tolist()
        texts = self.towers.embed_texts(batch).tolist()
        return [
            {"id": key, "smiles": smiles, "molecule": m, "text": t}
            for key, smiles, m, t in zip(batch.ids, batch.smiles, molecules, texts, strict=True)
        ]

    def evaluate(self, observed: list[dict[str, Any]], split: str) -> tuple[dict[str, float], list[dict[str, Any]]]:
        found: dict[str, float] = {}
        rows: list[dict[str, Any]] = []
        for scope, pairs in _by_scope(observed).items():
            scores = similarity(torch.stack([p.molecule for p in pairs]), torch.stack([p.text for p in pairs])).numpy()
            scored = metrics.both_directions(scores, [p.pool for p in pairs])
            if self.rerank and scope == "all":
                scored += self._reranked(pairs, scores)
                found["rerank/candidates"] = float(min(self.rerank, len(pairs)))
            found |= metrics.named(scored, scope)
            named = metrics.rows(scored, [p.id for p in pairs], [p.group for p in pairs], scope)
            if scope == "all" and split == "test":
                _describe(named, {p.id: p for p in pairs})
            rows += named
        return found, rows

    def _reranked(self, pairs: list[_Pair], scores: NDArray[Any]) -> list[metrics.Scored]:
        """Of each query's best `rerank`, cosine + matching logit; a right answer outside them is a miss."""
        wanted = {
            "m2t": metrics.candidates_only(scores, self.rerank),
            "t2m": metrics.candidates_only(scores.T, self.rerank),
        }
        asked = np.argwhere(wanted["m2t"] | wanted["t2m"].T)
        logits = np.zeros(scores.shape)
        logits[asked[:, 0], asked[:, 1]] = self.towers.match_scores([p.item for p in pairs], asked)
        every = np.arange(len(pairs))
        return [
            metrics.Scored(direction, "rerank", every, metrics.reranked(matrix, wanted[direction]))
            for direction, matrix in (("m2t", scores + logits), ("t2m", (scores + logits).T))
        ]

    def exports(self) -> dict[str, Encoder]:
        return {"encoder": self.encoder} | ({} if self._text is None else {"text": self._text})


class _Pair(NamedTuple):
    """One molecule and its caption, embedded."""

    id: str
    group: str
    pool: str
    molecule: Tensor  # [Q, P]
    text: Tensor  # [P]
    item: Any  # for the matching head
    smiles: str
    caption: str


def _describe(rows: list[dict[str, Any]], pairs: dict[str, _Pair]) -> None:
    """To each query over the whole split: `smiles` and `caption`, and as `vector` its place in the shared space [P] (of a
    molecule with several, their mean).
    """
    for row in rows:
        if row["pool"] == "all":
            pair = pairs[row["id"]]
            vector = (pair.molecule.mean(0) if row["direction"] == "m2t" else pair.text).float()
            row |= {"smiles": pair.smiles, "caption": pair.caption, "vector": vector.numpy()}


def _by_scope(observed: list[dict[str, Any]]) -> dict[str, list[_Pair]]:
    """Pairs of each scope, every record once (ranks repeat one to keep step)."""
    found: dict[str, dict[str, _Pair]] = {}
    names = ["scopes", "ids", "groups", "pools", "molecules", "texts", "items", "smiles", "captions"]
    for scope, *fields in named_rows(observed, names):
        found.setdefault(scope, {})[fields[0]] = _Pair(*fields)
    whole = found["all"]
    return {scope: [p._replace(molecule=whole[p.id].molecule) for p in pairs.values()] for scope, pairs in found.items()}

"""The molecules nearest to a text, and the texts nearest to a molecule."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from molfusion.batch import MoleculeBatch, Record
from molfusion.chem.parse import ChemError, parse
from molfusion.config import ConfigError
from molfusion.data.asked import Asked
from molfusion.encoders.base import Matching, NotApplicable
from molfusion.nn.contrastive import similarity
from molfusion.tasks.generation import clean_text
from molfusion.tasks.retrieval import Retrieval
from molfusion.trained.asking import Asker, Rows
from molfusion.trained.embedding import as_record

if TYPE_CHECKING:
    from molfusion.trained.trained import Molecules, Trained

ReadAs = Literal["auto", "text", "smiles"]
_AT_ONCE = 16  # queries compared with the whole pool


class Query(NamedTuple):
    """One question, and what it was taken for."""

    number: int
    given: str
    read_as: str  # text | smiles | "" where neither
    problem: str = ""


@dataclass
class Side:
    """What may be found: each thing as a record, with its vectors [M, Q, P] (a text has one)."""

    records: list[Record]
    names: list[str]  # equal ones are the same molecule (its conformers) or text
    vectors: Tensor


def retrieve(run: Trained, queries: Sequence[str], k: int, among: Molecules, read_as: ReadAs, rerank: int) -> Rows:
    """Rows with `query_number`, `query`, `read_as`, `rank`, `similarity`, `id`, `smiles`, `text`, `problem`; re-ranked, also
    `match`, the matching head's logit.

    Raises:
        NotApplicable: no run of Retrieval, or no matching head.
        ConfigError: no query, or k or rerank make no sense.
    """
    task = run.task(Retrieval, "retrieve")
    if k < 1 or rerank < 0:
        raise ConfigError(f"k is {k} and rerank {rerank}: expected at least 1 and 0")
    if rerank and not isinstance(task.towers, Matching):
        raise NotApplicable(f"{run.path}: {type(task.towers).__name__} has no matching head to re-rank by; leave rerank out")
    read = [told_apart(n, query, read_as) for n, query in enumerate(queries, 1)]
    if not read:
        raise ConfigError("nothing to look for: give a text or a SMILES")
    rows = {q.number: [{"problem": q.problem}] for q in read if q.problem}
    search = _Search(run, task, run.asker(), k, rerank)
    for kind, answers in (("text", search.molecules_for), ("smiles", search.texts_for)):
        if mine := [q for q in read if q.read_as == kind]:
            rows |= answers(mine, among)
    blank = {"rank": None, "similarity": None, "id": None, "smiles": None, "text": None}
    return [
        {"query_number": q.number, "query": q.given, "read_as": q.read_as, **blank, **row} for q in read for row in rows[q.number]
    ]


def told_apart(number: int, given: str, read_as: ReadAs = "auto") -> Query:
    """A query as text or SMILES: several words are a text, what RDKit reads is a molecule, and one word of letters a text."""
    query = clean_text(given).strip()
    if not query:
        return Query(number, query, "", "the query is empty")
    if read_as == "text" or (read_as == "auto" and len(query.split()) > 1):
        return Query(number, query, "text")
    try:
        parse(query)
    except ChemError as error:
        if read_as == "auto" and query.strip(".,;:!?\"'()").replace("-", "").isalpha():
            return Query(number, query, "text")
        hint = "; if it is a text, read it as one (--as text)" if read_as == "auto" else ""
        return Query(number, query, "", f"{error}{hint}")
    return Query(number, query, "smiles")


@dataclass
class _Search:
    run: Trained
    task: Retrieval
    asker: Asker
    k: int
    rerank: int

    def molecules_for(self, queries: Sequence[Query], among: Molecules) -> dict[int, Rows]:
        """Of each text."""
        records = [as_record(str(q.number), q.given) for q in queries]
        found = self.asker.texts(records, self.task.towers.loss_views, self._texts, self.run.data.batch_size)
        data = self.run.asked(among, self.task.views if self.rerank else self.task.encoder.views)
        told = self.asker.molecules(data, self._molecules)
        vectors = {row["id"]: row["vectors"] for row in told if not row["problem"]}
        if not vectors:
            raise ConfigError(f"no molecule to find in {_named(among, data)}: {told[0]['problem'] if told else 'it is empty'}")
        _tell_lost(told, _named(among, data))
        kept = [r for r in data.asked if r.id in vectors]
        side = Side(kept, [r.canonical for r in kept], torch.stack([vectors[r.id] for r in kept]))

        def pairs(query: Query, chosen: Sequence[Record]) -> list[MoleculeBatch]:
            return list(data.batches([replace(r, text=query.given) for r in chosen]))

        return self._ranked(queries, found, side, pairs)

    def texts_for(self, queries: Sequence[Query], among: Molecules) -> dict[int, Rows]:
        """Of each molecule."""
        views = self.task.views if self.rerank else self.task.encoder.views
        asked = self.run.asked([q.given for q in queries], views)
        found = self.asker.molecules(asked, self._molecules)
        pool = self.run.asked(among, frozenset(self.task.towers.loss_views))
        distinct = {r.text: r for r in reversed(pool.load().records) if r.text.strip()}
        records = sorted(distinct.values(), key=lambda r: r.id)
        if not records:
            return {q.number: [{"problem": f"{_named(among, pool)} has no texts to find"}] for q in queries}
        told = self.asker.texts(records, self.task.towers.loss_views, self._texts, self.run.data.batch_size)
        vectors = {row["id"]: row["vectors"] for row in told if not row["problem"]}
        _tell_lost(told, _named(among, pool))
        kept = [r for r in records if r.id in vectors]
        side = Side(kept, [r.text for r in kept], torch.stack([vectors[r.id] for r in kept]))
        mine = dict(zip((q.number for q in queries), found, strict=True))
        by_id = {r.id: r for r in asked.asked}

        def pairs(query: Query, chosen: Sequence[Record]) -> list[MoleculeBatch]:
            molecule = by_id[mine[query.number]["id"]]
            return list(asked.batches([replace(molecule, text=r.text) for r in chosen]))

        return self._ranked(queries, found, side, pairs)

    # -- parts ---------------------------------------------------------------------------------------

    def _molecules(self, batch: MoleculeBatch) -> Rows:
        found = self.task.towers.embed_molecules(batch).float().cpu()
        return [{"id": i, "smiles": s, "vectors": v} for i, s, v in zip(batch.ids, batch.smiles, found, strict=True)]

    def _texts(self, batch: MoleculeBatch) -> Rows:
        found = self.task.towers.embed_texts(batch).float().cpu()
        return [{"id": i, "vectors": v[None]} for i, v in zip(batch.ids, found, strict=True)]

    def _ranked(self, queries: Sequence[Query], found: Rows, side: Side, pairs: Any) -> dict[int, Rows]:
        """The best of the side for each query's vectors."""
        rows: dict[int, Rows] = {}
        able = [(q, row["vectors"]) for q, row in zip(queries, found, strict=True) if not row["problem"]]
        for start in range(0, len(able), _AT_ONCE):
            some = able[start : start + _AT_ONCE]
            for (query, _), scores in zip(some, _scores(torch.stack([v for _, v in some]), side.vectors), strict=True):
                rows[query.number] = self._best(query, scores, side, pairs)
        return rows | {q.number: [{"problem": row["problem"]}] for q, row in zip(queries, found, strict=True) if row["problem"]}

    def _best(self, query: Query, scores: Any, side: Side, pairs: Any) -> Rows:
        distinct: dict[str, int] = {}
        for i in np.argsort(-scores, kind="stable"):
            distinct.setdefault(side.names[i], int(i))
            if len(distinct) == max(self.k, self.rerank):
                break
        chosen = list(distinct.values())
        matches = [None] * len(chosen)
        if self.rerank:
            matches = self._matches(pairs(query, [side.records[i] for i in chosen]))
            order = np.argsort(-(scores[chosen] + np.array(matches)), kind="stable")[: self.k]
            chosen, matches = [chosen[i] for i in order], [matches[i] for i in order]
        return [
            {
                "rank": rank, "similarity": float(scores[i]), **({} if match is None else {"match": match}),
                "id": side.records[i].id, "smiles": side.records[i].smiles, "text": side.records[i].text, "problem": "",
            }
            for rank, (i, match) in enumerate(zip(chosen, matches, strict=True), 1)
        ]  # fmt: skip

    def _matches(self, batches: Sequence[MoleculeBatch]) -> Any:
        """The matching head's logit of each molecule with the text beside it."""

        def question(batch: MoleculeBatch) -> Rows:
            items = self.task.towers.match_items(batch)
            both = np.repeat(np.arange(len(items))[:, None], 2, axis=1)
            return [{"match": float(x)} for x in self.task.towers.match_scores(items, both)]

        return [row["match"] for batch in batches for row in self.asker.ask(batch, question)]


def _scores(queries: Tensor, pool: Tensor) -> Any:
    """[queries, pool]: the best cosine of what has several vectors; the other side has one."""
    if pool.shape[1] > 1 or queries.shape[1] == 1:
        return similarity(pool, queries[:, 0]).T.numpy()
    return similarity(queries, pool[:, 0]).numpy()


def _named(among: Molecules, data: Asked) -> str:
    return f"card {data.card.name}" if among is None or isinstance(among, str | Path) else "the molecules given"


def _tell_lost(rows: Rows, where: str) -> None:
    lost = [row["problem"] for row in rows if row["problem"]]
    if lost:
        logging.getLogger(__name__).warning(f"{len(lost)} of {len(rows)} in {where} cannot be found; the first: {lost[0]}")

"""The one datamodule: a card, the views the model asks for, batches."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import lightning as L
import numpy as np
import torch

from molfusion.batch import MoleculeBatch, Record, Target
from molfusion.data.balance import source_of
from molfusion.data.borrow import How
from molfusion.data.card import Card, CardError, load_card
from molfusion.data.dataset import MoleculeDataset
from molfusion.data.part import Part
from molfusion.data.prepare import Summary, prepare
from molfusion.data.records import Dropped, Records, load_records
from molfusion.data.sampler import BatchOrder, ResumableLoader, worker_init
from molfusion.data.scopes import Scopes
from molfusion.data.store import ViewStore
from molfusion.paths import cache_folder
from molfusion.views.base import View, ViewError
from molfusion.views.prompt import PromptView
from molfusion.views.text import TextView


class MoleculeData(L.LightningDataModule):
    """Batches of one card under the views of whatever model is trained.

    Args:
        card: name of a shipped card, or the path of one, or of a plain file of molecules (.smi, .csv, .sdf, .parquet, …).
        views: what the model reads; the command line links it from the model.
        batch_size: molecules a batch and device.
        population: further views a molecule must have to take part, so that all models compared see the same ones.
        root: folder the card's relative paths start from.
        cache: folder of the feature store.
        workers: loader processes beside the main one.
        prepare_workers: processes that featurise; by default one a core.
        timeout: seconds of CPU time one molecule may take to featurise before its worker is killed.
        seed: of the order of the batches.
        train_fraction: share of the training molecules to use (the first ones of a seeded order).
        targets: names of the card's targets to keep; all by default.
        sentences: in training, how many sentences of a caption to show at a time, drawn anew each epoch; all by default.
        together: in training, conformers and stereoisomers of one molecule share a batch: each other's hard negatives.
        alike: in training, batches of molecules of like size (`atoms`), with texts of like length (`text`) or of both
            kinds, which pad less; `auto`: atoms where a view pads to pairs of them, text where it is read; `none`: wholly
            random.
        most_pairs: cap on molecules × atoms² of a batch (with `alike: atoms` or `both`): larger molecules come in smaller
            batches.
        max_heavy_atoms: leave larger molecules out, instead of what the card says.
        balance: in training, draw tasks of instruction data by their number of questions to this power (3D-MoLM: 0.25), with
            replacement; by default each question comes once an epoch.
        atoms: of some splits the fewest and the most heavy atoms, such as {train: [1, 29], test: [30, 50]}.
        told: of some splits what captions keep: kinds or tags of facts; and which tasks of questions stay.
        contains: of some splits SMARTS that molecules must match, such as {test: "[#16]"} for sulfur.
        lacks: of some splits SMARTS that molecules must not match.
        split: part the molecules by scaffolds or at random, instead of as the card says.
        near: score retrieval also among molecules that hardly differ: `isomers`, `scaffold`, `moved`, `stereo` (see
            `molfusion.data.scopes`).
    """

    def __init__(
        self,
        card: str = "demo",
        views: frozenset[View] | None = None,
        batch_size: int = 64,
        population: list[View] | None = None,
        root: str | None = None,
        cache: str | None = None,
        workers: int = 0,
        prepare_workers: int | None = None,
        timeout: float = 300.0,
        seed: int = 0,
        train_fraction: float = 1.0,
        targets: list[str] | None = None,
        sentences: int | None = None,
        together: bool = False,
        alike: Literal["auto", "atoms", "text", "both", "none"] = "auto",
        most_pairs: int | None = None,
        max_heavy_atoms: int | None = None,
        balance: float | None = None,
        atoms: dict[str, list[int]] | None = None,
        told: dict[str, list[str]] | None = None,
        contains: dict[str, str] | None = None,
        lacks: dict[str, str] | None = None,
        split: Literal["scaffold", "random"] | None = None,
        near: list[str] | None = None,
    ) -> None:
        super().__init__()
        if not 0 < train_fraction <= 1:
            raise ValueError(f"train_fraction is {train_fraction}, expected a number in (0, 1]")
        self.card: Card = load_card(card, root, targets)
        if max_heavy_atoms is not None:
            self.card = replace(self.card, drop=replace(self.card.drop, max_heavy_atoms=max_heavy_atoms))
        if split is not None:
            self.card = replace(self.card, split=replace(self.card.split, by=split, holdout={}))
        self.views = frozenset(views or ())
        if self.card.unfit_for_text and any(_reads_text(v) or isinstance(v, PromptView) for v in self.views):
            raise CardError(f"card {self.card.name} is not for models that read text: {self.card.unfit_for_text}")
        self.population = frozenset(population or ()) | {v for v in self.views if v.stored}
        self.batch_size, self.workers, self.seed = batch_size, workers, seed
        self.prepare_workers, self.timeout = prepare_workers, timeout
        self.retry = False  # set by `molfusion prepare --retry`
        self.train_fraction, self.sentences, self.together = train_fraction, sentences, together
        if most_pairs is not None and alike not in ("atoms", "both"):
            raise ValueError(f"most_pairs caps batches sorted by atoms: set alike to 'atoms' or 'both', not {alike!r}")
        if balance is not None and (balance < 0 or together or most_pairs is not None):
            raise ValueError(f"balance is {balance}: expected 0 to 1 or so, and neither `together` nor `most_pairs` beside it")
        self.alike, self.most_pairs, self.balance = alike, most_pairs, balance
        self.part = Part(atoms or {}, told or {}, contains or {}, lacks or {})
        self.scopes = Scopes(self.card.scopes, near or [])
        self.cache = Path(cache) if cache else cache_folder()
        self.targets, self._columns = _chosen(self.card, targets)
        self.records: dict[str, list[Record]] = {}
        self.dropped: list[Dropped] = []
        self.summaries: list[Summary] = []
        self.borrowed: dict[View, How] = {}  # in evaluation: which views to take from other molecules
        self.on_progress: Any = None  # (view, done, total) -> None, set by the command line

    # -- filling and opening the store ---------------------------------------------------------------

    def load(self) -> Records:
        """All records of the card, in file order, before any is left out."""
        return load_records(self.card, self.cache)

    def prepare_data(self) -> None:
        """Featurise what the store lacks; once a machine."""
        if self.records:  # set up already: all is there
            return
        self.summaries = prepare(
            self.load().records,
            self.population,
            self.cache / "store",
            self.prepare_workers,
            self.timeout,
            self.on_progress,
            self.retry,
        )

    def setup(self, stage: str | None = None) -> None:
        """Open the store and settle who takes part: records that have every view of the population."""
        if self.records:
            return
        loaded = self.load()
        self._stores = {view: ViewStore(self.cache / "store", view) for view in self.population}
        self.dropped = list(loaded.dropped)
        kept: dict[str, list[Record]] = {"train": [], "val": [], "test": []}
        for record in loaded.records:
            shown = record if stage == "predict" else self.part.of(record)
            lacking = shown if isinstance(shown, str) else self._lacking(shown)
            if isinstance(shown, str) or lacking:
                self.dropped.append(Dropped(record.id, record.smiles, lacking))
            else:
                kept[record.split].append(self._select_targets(shown))
        if stage != "predict":
            kept["train"] = self._fraction(kept["train"])
        if not (any(kept.values()) if stage == "predict" else kept["train"]):
            reasons = Counter(d.reason for d in self.dropped).most_common(1)
            why = f": {reasons[0][1]} × {reasons[0][0]!r}" if reasons else ""
            wanted = "molecule" if stage == "predict" else "training molecule"
            raise CardError(f"card {self.card.name}: no {wanted} is left{why}")
        self.records = kept

    def _lacking(self, record: Record) -> str:
        for view, store in self._stores.items():
            if not store.has(record):
                try:
                    store.get(record)
                except (ViewError, KeyError) as error:
                    return f"{type(view).__name__}: {error}"
        return ""

    def _fraction(self, records: list[Record]) -> list[Record]:
        order = np.random.default_rng(self.seed).permutation(len(records))
        kept = sorted(order[: max(1, round(len(records) * self.train_fraction))])
        return [records[i] for i in kept] if records else []

    def _select_targets(self, record: Record) -> Record:
        if self._columns is None:
            return record
        return replace(record, targets=tuple(record.targets[i] for i in self._columns))

    # -- what tasks ask through their trainer --------------------------------------------------------

    def target_values(self, split: str) -> np.ndarray[Any, np.dtype[np.float64]]:
        """[molecules, K] targets of one split, nan = not measured."""
        records = self.records[split]
        return np.array([r.targets for r in records], dtype=np.float64).reshape(len(records), len(self.targets))

    # -- loaders -------------------------------------------------------------------------------------

    def train_dataloader(self) -> ResumableLoader:
        return self._loader(self.records["train"], shuffle=True)

    def val_dataloader(self) -> ResumableLoader:
        return self._loader(self._scoped(self.records["val"]), shuffle=False)

    def test_dataloader(self) -> ResumableLoader:
        return self._loader(self._scoped(self.records["test"]), shuffle=False)

    def predict_dataloader(self) -> ResumableLoader:
        """Every record, of whatever split."""
        return self._loader([r for records in self.records.values() for r in records], shuffle=False)

    def _scoped(self, records: list[Record]) -> list[Record]:
        """The records, and once more under each scope, if somebody reads their text."""
        if not any(_reads_text(v) for v in self.views):
            return records
        return records + [r for name in self.scopes.names for r in self.scopes.of(records, name)]

    def _loader(self, records: list[Record], shuffle: bool) -> ResumableLoader:
        rank, world = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        stores = {v: s for v, s in self._stores.items() if v in self.views}
        sentences, borrowed = (self.sentences, None) if shuffle else (None, self.borrowed)
        dataset = MoleculeDataset(records, stores, self.views, sentences, self.seed, borrowed)
        groups = [r.group for r in records] if shuffle and self.together else None
        lengths, texts = self._lengths(records) if shuffle and not self.together else (None, None)
        cap = None if lengths is None else self.most_pairs
        sources = [source_of(r) for r in records] if shuffle and self.balance is not None else None
        order = BatchOrder(
            len(records), self.batch_size, self.seed, shuffle, rank, world, groups, lengths, texts, most_pairs=cap,
            sources=sources, balance=1.0 if self.balance is None else self.balance,
        )  # fmt: skip
        return ResumableLoader(
            dataset,
            order,
            collate_fn=_same,
            num_workers=self.workers,
            persistent_workers=self.workers > 0,
            worker_init_fn=worker_init,
            generator=torch.Generator(),  # so that starting a loader draws nothing from the generator of dropout
            pin_memory=torch.cuda.is_available(),
        )


    def _lengths(self, records: list[Record]) -> tuple[list[int] | None, list[int] | None]:
        """What batches are sorted by, and by what else: atoms told from the SMILES, tokens of the text (0.1 ms each).

        Characters would not do: batches of like ones are 11 to 27 % padding on real texts, of like tokens 2 %.
        """
        by = self.alike
        if by == "auto":
            pairs, text = (any(v.pads == what for v in self.views) for what in ("pairs", "text"))
            by = "both" if pairs and text else "atoms" if pairs else "text" if text else "none"
        atoms = texts = None
        if by in ("atoms", "both"):
            atoms = [len(r.geometry.numbers) if r.geometry else len(_ATOM.findall(r.smiles)) for r in records]
        if by in ("text", "both"):
            reading = {v.sized_by() for v in self.views if v.pads == "text"}
            texts = [sum(v.padded_length(r) for v in reading) or len(r.text) for r in records]
        return (atoms, texts) if atoms is not None else (texts, None)


# Atoms of a SMILES that are written out: all but implicit hydrogens.
_ATOM = re.compile(r"\[[^\]]+\]|Br|Cl|[BCNOPSFIbcnops*]")


def _reads_text(view: View) -> bool:
    return isinstance(view, TextView) and view.reads == "text"


def _same(batch: MoleculeBatch) -> MoleculeBatch:
    return batch  # the dataset already made it


def _chosen(card: Card, names: list[str] | None) -> tuple[tuple[Target, ...], list[int] | None]:
    every = card.target_list()
    if names is None:
        return every, None
    known = [t.name for t in every]
    for name in names:
        if name not in known:
            raise CardError(f"card {card.name} has no target {name!r}; it has: {', '.join(known) or 'none'}")
    columns = [known.index(name) for name in names]
    return tuple(every[i] for i in columns), columns

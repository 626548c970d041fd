"""Writing down a frozen encoder's tokens of a card, once, for every run that trains on them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor
from torch.utils.data import DataLoader

from molfusion.batch import Record
from molfusion.data.card import Card
from molfusion.data.dataset import MoleculeDataset
from molfusion.data.sampler import worker_init
from molfusion.data.store import Entry, ViewStore
from molfusion.encoders.base import Encoder
from molfusion.encoders.cached import encoder_digest, kept_by
from molfusion.paths import atomic
from molfusion.provenance import provenance
from molfusion.views.base import ViewError
from molfusion.views.tokens import DType, TokensError, TokensView

_SHARD_BYTES = 64 << 20
_SHARD_SECONDS = 20.0  # a kill loses at most this much work


@dataclass
class Manifest:
    """What was written for one card, as `<card>.json` beside the shards; it is there when the card is through."""

    encoder: str  # its digest
    dim: int  # D
    dtype: DType
    card: str
    card_digest: str
    molecules: int  # distinct ones (conformers count), or distinct texts, with tokens
    tokens: int  # of them all
    failed: int  # molecules the encoder's views have nothing of; the ledger says why
    computed: int  # molecules computed this time, the rest was there
    largest_value: float | None  # |x| among those computed; None: there were none
    largest_difference: float | None  # |x - its stored form| among those
    provenance: dict[str, Any]


def write_tokens(
    encoder: Encoder,
    card: Card,
    records: Sequence[Record],
    root: Path,
    dtype: DType = "float32",
    device: torch.device | str = "cpu",
    batch_size: int = 64,
    workers: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Manifest, Path]:
    """Run the encoder, in eval mode and float32, over what the store lacks; its stored views are already prepared.

    Args:
        encoder: with its weights.
        card: whose records these are.
        records: molecules, or their texts if it is those that the encoder reads; equal ones are computed once.
        root: the store's folder.
        dtype: to keep the tokens in.
        device: where the encoder runs.
        batch_size: molecules of equal size at a time.
        workers: loader processes beside this one.
        progress: called with (done, total).

    Returns:
        What is there now, and the file that says so.

    Raises:
        NotApplicable: the encoder reads molecules and their texts at once.
        TokensError: a token that is not a finite number in `dtype`.
    """
    encoder.eval()
    view = TokensView(encoder_digest(encoder), dtype, of=kept_by(encoder))
    store = ViewStore(root, view)
    distinct = list({view.key(r): r for r in records}.values())
    run = _Writer(encoder.to(device), view, store, {v: ViewStore(root, v) for v in encoder.views if v.stored})
    run.write([r for r in distinct if r not in store], batch_size, workers, progress)
    path = store.folder / f"{card.name}.json"
    held = [r for r in distinct if store.has(r)]
    manifest = Manifest(
        view.encoder, encoder.dim, dtype, card.name, card.digest(),
        molecules=len(held), tokens=sum(len(store.get(r)["x"]) for r in held), failed=len(distinct) - len(held),
        computed=run.computed, largest_value=run.largest, largest_difference=run.difference,
        provenance=provenance(_described(torch.device(device))),
    )  # fmt: skip
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(asdict(manifest), indent=1))
    return manifest, path


def write_fragment(path: Path, encoder: str, manifest: Manifest) -> None:
    """`tokens.yaml`: goes wherever `Frozen(encoder)` goes.

    Args:
        path: of the file.
        encoder: the fragment of the encoder, as a path from the file's folder.
        manifest: of the tokens.
    """
    fragment = {
        "class_path": "molfusion.encoders.CachedTokens",
        "init_args": {"encoder": encoder, "digest": manifest.encoder, "dtype": manifest.dtype},
    }
    with atomic(path) as temporary:
        temporary.write_text(yaml.safe_dump(fragment, sort_keys=False))


class _Writer:
    """Batches through the encoder and into shards, with an account of what the stored form loses."""

    def __init__(self, encoder: Encoder, view: TokensView, store: ViewStore, inputs: dict[Any, ViewStore]) -> None:
        self.encoder, self.view, self.store, self.inputs = encoder, view, store, inputs
        self.computed = 0
        self.largest: float | None = None
        self.difference: float | None = None

    def write(
        self, records: Sequence[Record], batch_size: int, workers: int, progress: Callable[[int, int], None] | None
    ) -> None:
        """Shard by shard; a failed molecule enters the ledger with its reason."""
        groups, buffer = self._sorted(records)
        done, held, written = len(buffer), 0, time.monotonic()
        for entries in self._entries(groups, batch_size, workers):
            buffer += entries
            done += len(entries)
            held += sum(e.features["x"].nbytes for e in entries if e.features is not None)
            if held > _SHARD_BYTES or time.monotonic() - written > _SHARD_SECONDS:
                self.store.append(buffer)
                buffer, held, written = [], 0, time.monotonic()
            if progress:
                progress(done, len(records))
        self.store.append(buffer)

    def _sorted(self, records: Sequence[Record]) -> tuple[list[list[Record]], list[Entry]]:
        """Those that have every view the encoder reads, size by size; the others as failures.

        Without padding, next to no rounding depends on which others are written in the same batch.
        """
        able: dict[tuple[int, ...], list[Record]] = {}
        failed = []
        for record in records:
            try:
                features = [store.get(record) for store in self.inputs.values()]
                features += [v.featurise(record) for v in self.encoder.views if not v.stored]
            except ViewError as error:
                failed.append(Entry(self.view.key(record), record.id, record.smiles, "failed", str(error), 0.0))
            else:
                able.setdefault(tuple(len(a) for f in features for a in f.values()), []).append(record)
        return [able[size] for size in sorted(able)], failed

    def _entries(self, groups: Sequence[Sequence[Record]], batch_size: int, workers: int) -> Iterator[list[Entry]]:
        records: list[Record] = []
        order: list[list[tuple[int, int]]] = []
        for group in groups:
            for n in range(0, len(group), batch_size):
                part = group[n : n + batch_size]
                order.append([(len(records) + i, 0) for i in range(len(part))])
                records += part
        dataset = MoleculeDataset(records, self.inputs, self.encoder.views)
        loader: DataLoader[Any] = DataLoader(
            dataset,
            batch_sampler=order,
            num_workers=workers,
            collate_fn=_same,
            worker_init_fn=worker_init,
        )
        device = next((p.device for p in self.encoder.parameters()), torch.device("cpu"))
        start = time.monotonic()
        for indices, batch in zip(order, loader, strict=True):
            with torch.no_grad():
                x, mask = self.encoder(batch.to(device))
            rows = [row[real] for row, real in zip(x.float().cpu(), mask.cpu(), strict=True)]
            spent = (time.monotonic() - start) / len(rows)
            yield [self._entry(records[i], row, spent) for (i, _), row in zip(indices, rows, strict=True)]
            start = time.monotonic()

    def _entry(self, record: Record, x: Tensor, seconds: float) -> Entry:
        try:
            features = self.view.pack(x)
        except TokensError as error:
            raise TokensError(f"{record.id} ({record.smiles}): {error}") from error
        self.computed += 1
        self.largest = max(self.largest or 0.0, float(x.abs().max()))
        stored = self.view.collate([features]).x[0].float()
        self.difference = max(self.difference or 0.0, float((x - stored).abs().max()))
        return Entry(self.view.key(record), record.id, record.smiles, "ok", "", seconds, features)


def _same(batch: Any) -> Any:
    return batch  # the dataset already made it


def _described(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"{device.type}, {torch.get_num_threads()} threads"

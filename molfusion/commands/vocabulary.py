"""Make the motif vocabulary of a card: what the hierarchical encoder and decoder number their motifs by."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from molfusion.chem.motifs_oracle import reachable
from molfusion.chem.motifs_vocabulary import (
    MotifVocabulary,
    count_fragments,
    pairs_of,
    released_vocabulary,
    vocabulary_of,
    writable_tree,
)
from molfusion.chem.parse import ChemError, parse
from molfusion.cores import usable_cores
from molfusion.data.card import CardError, load_card
from molfusion.data.pool import isolated
from molfusion.data.records import load_records
from molfusion.paths import atomic, cache_folder

_TIMEOUT = 60.0  # s a molecule


def main(arguments: argparse.Namespace) -> int:
    """Count fragments, then motifs, over the training molecules; say what part of the others they cover."""
    if arguments.released:
        return _released(Path(arguments.card), Path(arguments.out))
    card = load_card(arguments.card, arguments.root)
    by_split: dict[str, list[str]] = {}
    for record in load_records(card, cache_folder()).records:
        by_split.setdefault(record.split, []).append(record.smiles)
    train = list(dict.fromkeys(by_split.pop("train", [])))
    workers = arguments.workers or usable_cores()
    fragments: Counter[str] = Counter()
    for found in _each(_Fragments(arguments.compat), train, workers, "fragments"):
        fragments.update(found if isinstance(found, list) else ())
    kept = [name for name, n in fragments.most_common() if n >= arguments.min_frequency]
    words = MotifVocabulary((), tuple(kept), arguments.compat)
    pairs: Counter[tuple[str, str, str]] = Counter()
    reasons: Counter[str] = Counter()
    for found in _each(_Pairs(words, arguments.max_atoms), train, workers, "motifs"):
        if isinstance(found, list):
            pairs.update(found)
        else:
            reasons[found] += 1
    settings = {
        "card": card.name, "molecules": len(train), "min_frequency": arguments.min_frequency, "max_atoms": arguments.max_atoms,
        "left_out": dict(reasons.most_common()),
    }  # fmt: skip
    words = vocabulary_of(pairs, words.fragments, arguments.compat, arguments.min_count, settings)
    with atomic(Path(arguments.out)) as temporary:
        words.save(temporary)
    _report(words, len(train), reasons)
    for split, smiles in by_split.items():
        _cover(words, split, smiles, workers, arguments.max_atoms)
        if arguments.reach:
            _reach(words, split, smiles, workers, arguments.reach)
    return 0


def _released(pairs: Path, out: Path) -> int:
    """The published files in our format."""
    if not pairs.is_file():
        raise CardError(f"no file {pairs}; --released takes the vocab.txt that came with weights")
    fragments = pairs.with_name("fragment.txt")
    words = released_vocabulary(pairs.read_text(), fragments.read_text() if fragments.is_file() else "")
    with atomic(out) as temporary:
        words.save(temporary)
    print(f"{len(words.pairs)} pairs of {len(words.motifs)} motifs, {len(words.fragments)} fragments")
    return 0


def _report(words: MotifVocabulary, train: int, reasons: Counter[str]) -> None:
    print(f"{len(words.pairs)} pairs of {len(words.motifs)} motifs, {len(words.fragments)} of them fragments kept whole")
    print(f"train: {train} molecules, {sum(reasons.values())} left out")
    for reason, n in reasons.most_common(10):
        print(f"  {n} × {reason}")


def _cover(words: MotifVocabulary, split: str, smiles: Sequence[str], workers: int, max_atoms: int) -> None:
    """What share of a split can be written with these motifs."""
    counts: Counter[str] = Counter()
    for found in _each(_Pairs(words, max_atoms), smiles, workers, split):
        inside = all((motif, attach) in words.pair_index for motif, attach, _ in found) if isinstance(found, list) else False
        counts["left out" if isinstance(found, str) else "covered" if inside else "out of vocabulary"] += 1
    shares = ", ".join(f"{n} ({100 * n / len(smiles):.1f} %) {what}" for what, n in sorted(counts.items()))
    print(f"{split}: {len(smiles)} molecules: {shares}")


def _reach(words: MotifVocabulary, split: str, smiles: Sequence[str], workers: int, limit: int) -> None:
    """What share of a split's small, connected molecules comes back if every choice of the decoder is the right one."""
    small = [s for s in dict.fromkeys(smiles) if "." not in s and parse(s).GetNumHeavyAtoms() < limit]
    found = _each(_Reach(words), small, workers, "reach")
    counts = Counter(reason if isinstance(reason, str) else _REACHED[reason] for reason in found)
    inside = sum(counts[name] for name in _REACHED.values())
    print(f"{split}: {len(small)} connected molecules under {limit} heavy atoms: {inside} in vocabulary, of which")
    print(f"  {counts[_REACHED[True]]} ({100 * counts[_REACHED[True]] / max(inside, 1):.1f} %) come back by the right choices")
    for reason, n in counts.most_common():
        if reason not in _REACHED.values():
            print(f"  {n} ({100 * n / max(len(small), 1):.1f} % of all) not asked: {reason}")


_REACHED = {True: "reachable", False: "not reachable"}


def _each(function: Callable[[Sequence[str]], list[Any]], items: Sequence[str], workers: int, what: str) -> list[Any]:
    """In the order of the items, whichever ends first: what is counted first comes first among equals."""
    found: list[Any] = [f"took longer than {_TIMEOUT:g} s, or its process died"] * len(items)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(), disable=not sys.stdout.isatty()) as progress:
        task = progress.add_task(what, total=len(items))
        for outcome in isolated(function, items, workers, _TIMEOUT):
            if outcome.status in {"done", "raised"}:  # a molecule that raises has a text for its reason
                found[outcome.index] = outcome.value
            progress.advance(task)
    return found


class _Fragments:
    """A molecule's fragments, or why it has none."""

    def __init__(self, compat: bool) -> None:
        self.compat = compat

    def __call__(self, smiles: Sequence[str]) -> list[list[str] | str]:
        return [_told(partial(count_fragments, s, self.compat)) for s in smiles]


class _Pairs:
    """A molecule's pairs of motif and attachment, or why it has none."""

    def __init__(self, words: MotifVocabulary, max_atoms: int) -> None:
        self.words, self.max_atoms = words, max_atoms

    def __call__(self, smiles: Sequence[str]) -> list[list[tuple[str, str, str]] | str]:
        return [_told(partial(self._pairs, s)) for s in smiles]

    def _pairs(self, smiles: str) -> list[tuple[str, str, str]]:
        return pairs_of(writable_tree(smiles, self.words, self.max_atoms), self.words.compat)


class _Reach:
    """Whether a molecule comes back by the right choices, or why it cannot be asked."""

    def __init__(self, words: MotifVocabulary) -> None:
        self.words = words

    def __call__(self, smiles: Sequence[str]) -> list[bool | str]:
        return [_told(partial(reachable, s, self.words)) for s in smiles]


def _told(function: Callable[[], Any]) -> Any:
    try:
        return function()
    except ChemError as error:
        return _kind(str(error))
    except Exception as error:  # a defect of ours must not lose the count
        return f"{type(error).__name__}: {error}"


def _kind(reason: str) -> str:
    """The reason without the molecule."""
    if ": " in reason:
        return reason.split(": ")[0]
    return " ".join(word for word in reason.split() if not set(word) & set("[]()=#:1234567890"))

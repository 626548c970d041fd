"""List data cards; describe, audit, compare, fetch, convert or make them."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.table import Table

from molfusion.data.card import Card, CardError, load_card, shipped_cards
from molfusion.paths import cache_folder


def main(arguments: argparse.Namespace) -> int:
    words: list[str] = arguments.words
    roots: list[str] = arguments.root or []
    if words and words[0] == "convert":
        return _convert(words[1:], arguments.out)
    if words == ["render"]:
        return _render()
    verb = words[0] if words and words[0] in _NEEDS else ""
    names = words[1:] if verb else words
    if not names and not verb:
        return _list()
    expected = _NEEDS.get(verb, 1)
    if len(names) != expected:
        raise CardError(f"cards {verb} takes {expected} card{'s' if expected > 1 else ''}, found {len(names)}: {' '.join(names)}")
    if len(roots) > expected:
        raise CardError(f"--root was given {len(roots)} times for {expected} card{'s' if expected > 1 else ''}")
    cards = [load_card(name, roots[i] if i < len(roots) else None) for i, name in enumerate(names)]
    if verb == "overlap":
        return _overlap(*cards)
    if verb == "fetch":
        return _fetch(cards[0], arguments.unchecked)
    if verb == "instruct":
        return _instruct(cards[0], arguments.out, arguments.ask)
    return _check(cards[0]) if verb == "check" else _describe(cards[0])


_NEEDS = {"check": 1, "overlap": 2, "fetch": 1, "instruct": 1}


def _list() -> int:
    table = Table("card", "title", "licence", box=None)
    for name, path in shipped_cards().items():
        card = load_card(str(path))
        table.add_row(name, card.title, card.licence)
    Console().print(table)
    return 0


def _render() -> int:
    from molfusion.data.render import page, page_path
    from molfusion.paths import atomic

    with atomic(page_path()) as path:
        path.write_text(page())
    print(page_path())
    return 0


def _describe(card: Card) -> int:
    console = Console()
    console.print(f"[bold]{card.name}[/]: {card.title}\nlicence: {card.licence}\ncite: {card.cite}", highlight=False)
    if card.unfit_for_text:
        console.print(f"[bold]not for text:[/] {card.unfit_for_text}", highlight=False)
    if card.caveats:
        console.print(f"caveats: {card.caveats}", highlight=False)
    from molfusion.data.records import load_records

    found = load_records(card, cache_folder())
    print(f"records: {dict(Counter(r.split for r in found.records))}; {len(found.dropped)} rows left out")
    for reason, count in Counter(d.reason for d in found.dropped).most_common(10):
        print(f"  {count} × {reason}")
    for target in card.target_list():
        print(f"target: {target.name} ({target.unit or 'no unit'}), {target.kind}")
    return 0


def _check(card: Card) -> int:
    """1 if the audit found an error, so that a script can stop."""
    from molfusion.audit import Subject, audit
    from molfusion.tasks.needs import lacking

    subject = Subject.of(card, cache_folder())
    print(f"card {card.name}: {len(subject.records):,} records, {len(subject.dropped):,} rows left out")
    if card.unfit_for_text:
        print(f"  the card says: not for text: {card.unfit_for_text}")
    holds = {"texts": any(r.text for r in subject.records), "numbers": bool(card.targets)}
    for why in (
        lacking("texts", "Retrieval, Captioning and Generation", card.name, **holds),
        lacking("numbers", "Property", card.name, **holds),
    ):
        if why:
            print(f"  {why}")
    counts: Counter[str] = Counter()
    for name, findings in audit(subject):
        print(f"{name}: {'nothing found' if not findings else ''}".rstrip(), flush=True)
        for found in findings:
            counts[found.level] += 1
            print(f"  {found.level:7}  {found.message}")
            for example in found.examples:
                print(f"             {' '.join(example.split())[:160]}")
    print(f"{counts['error']} errors, {counts['warning']} warnings, {counts['note']} notes")
    return 1 if counts["error"] else 0


def _overlap(a: Card, b: Card) -> int:
    from molfusion.audit import Subject
    from molfusion.audit.overlap import overlap

    cache = cache_folder()
    table = Table(box=None)
    for column in (f"in {a.name}", f"of {b.name}", "records"):
        table.add_column(column, no_wrap=True)
    for column in ("same molecule", "without stereo", "scaffold"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("such as", no_wrap=True)
    for row in overlap(Subject.of(a, cache), Subject.of(b, cache)):
        shares = [f"{n:,} ({100 * n / row.total:.1f} %)" for n in (row.molecules, row.graphs, row.scaffolds)]
        table.add_row(row.split_a, row.split_b, f"{row.total:,}", *shares, ", ".join(row.examples))
    Console().print(table)
    print("same molecule: InChIKey; without stereo: canonical SMILES; scaffold: Murcko, acyclic molecules aside")
    return 0


def _fetch(card: Card, unchecked: bool) -> int:
    from molfusion.data.fetch import fetch

    for found in fetch(card, unchecked):
        print(f"{found.split}: {found.path} {'downloaded' if found.new else 'was here'}, {_identity(found.sha256)}")
    return 0


def _identity(value: str) -> str:
    return f"sha256 {value}" if len(value) == 64 else f"revision {value}"


def _instruct(card: Card, out: str | None, asked: list[str]) -> int:
    from molfusion.data.instruct import write
    from molfusion.data.records import load_records

    folder = _out(out)
    made = write(card, load_records(card, cache_folder()).records, folder, asked)
    for split, tasks in made.items():
        print(f"{split}: {', '.join(f'{count:,} × {task}' for task, count in tasks.items())}")
    print(folder / "card.yaml")
    return 0


def _convert(words: list[str], out: str | None) -> int:
    if len(words) != 2 or words[0] != "3d-moit":
        found = " ".join(words)
        raise CardError(f"cards convert takes a format and a folder: `cards convert 3d-moit FOLDER`; found: {found}")
    from molfusion.data.moit import convert

    folder = _out(out)
    made = convert(Path(words[1]), folder)
    for split, count in made.molecules.items():
        print(f"{split}: {count:,} molecules")
    for split, tasks in made.questions.items():
        print(f"{split}: questions {', '.join(f'{count:,} × {task}' for task, count in tasks.items())}")
    for reason, count in made.left_out.items():
        print(f"left out: {count:,} × {reason}")
    for path in sorted(folder.glob("*/card.yaml")):
        print(path)
    return 0


def _out(given: str | None) -> Path:
    if given is None:
        raise CardError("say with --out FOLDER where the new card and its files go")
    return Path(given)

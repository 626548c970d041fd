"""All shipped cards as one page: what a reader asks before using one. Told from the cards alone, without their data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from molfusion.batch import Target
from molfusion.data.card import Card, load_card, shipped_cards
from molfusion.data.files import FileSpec
from molfusion.paths import shipped

_HEAD = """# Data cards

A card says where a data set's bytes come from, what its columns mean, in which units, and who is in which split. This
page is written by `molfusion cards render` (`make cards`) from the cards; a test fails where it is stale. Row counts are
those that a card checks, before molecules that cannot be read are left out.

`molfusion cards NAME` counts what is there, `molfusion cards check NAME` audits it.
"""
_COLUMNS = ("card", "what", "records", "splits", "targets", "licence", "source")


def page_path() -> Path:
    return shipped("data_cards") / "README.md"


def page() -> str:
    """The page, in Markdown."""
    cards = {name: load_card(str(path)) for name, path in shipped_cards().items()}
    out = [_HEAD, _row(_COLUMNS), _row("---" for _ in _COLUMNS), *(_row(_cells(n, c)) for n, c in cards.items()), ""]
    out.append("## Before you quote a number\n")
    for name, card in cards.items():
        notes = [f"**Not for text:** {' '.join(card.unfit_for_text.split())}"] if card.unfit_for_text else []
        notes += [" ".join(card.caveats.split())] if card.caveats else []
        notes += [f"*Cite:* {card.cite}"] if card.cite else []
        if notes:
            out.append(f"**{name}**  \n" + "  \n".join(notes) + "\n")
    return "\n".join(out)


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _cells(name: str, card: Card) -> tuple[str, ...]:
    return f"`{name}`", card.title, _records(card), _splits(card), _targets(card.target_list()), card.licence, _source(card)


def _records(card: Card) -> str:
    counted = [spec.rows for spec in card.files.values()]
    stated = [rows for rows in counted if rows is not None]
    if not stated:
        return "not stated"
    return f"{sum(stated):,}" if len(stated) == len(counted) else f"{sum(stated):,} and {_unstated(card.files)}"


def _unstated(files: Mapping[str, FileSpec]) -> str:
    return ", ".join(name for name, spec in files.items() if spec.rows is None) + " (not stated)"


def _splits(card: Card) -> str:
    spec = card.split
    parts = []
    if spec.by == "file":
        parts = [name if s.rows is None else f"{name} {s.rows:,}" for name, s in card.files.items()]
    elif spec.by == "column":
        parts = [f"column {spec.column}"]
    else:
        parts = [f"{spec.by} {' / '.join(f'{x:g}' for x in spec.fractions)}, seed {spec.seed}"]
    parts += [f"{share:g} of train's scaffolds as {name}" for name, share in spec.holdout.items()]
    return ", ".join(parts)


def _targets(targets: Iterable[Target]) -> str:
    """Grouped by unit: `homo, lumo (eV); mu (D)`; labels without one as such."""
    by_unit: dict[str, list[str]] = {}
    for target in targets:
        by_unit.setdefault("label" if target.kind == "classification" else target.unit or "no unit", []).append(target.name)
    shown = {unit: ", ".join(names) if len(names) <= 15 else f"{len(names)}" for unit, names in by_unit.items()}
    return "; ".join(f"{names} ({unit})" for unit, names in shown.items()) or "–"


def _source(card: Card) -> str:
    """Where the bytes are from, each place once."""
    return ", ".join(dict.fromkeys(_place(spec) for spec in card.files.values()))


def _place(spec: FileSpec) -> str:
    if spec.hub:
        return f"Hugging Face `{spec.hub}`"
    if spec.path and spec.path.startswith("package://"):
        return f"package `{spec.path.removeprefix('package://').partition('/')[0]}`"
    if spec.url:
        parts = urlsplit(spec.url)
        folder = "/".join(parts.path.strip("/").split("/")[:2])
        return f"{parts.netloc}/{folder}" if parts.netloc.endswith("githubusercontent.com") else parts.netloc
    return "not shipped: `--root`"

"""List data cards, or say all about one."""

from __future__ import annotations

import argparse
from collections import Counter

from rich.console import Console
from rich.table import Table

from molfusion.data.card import load_card
from molfusion.paths import cache_folder, shipped


def main(arguments: argparse.Namespace) -> int:
    console = Console()
    if not arguments.card:
        table = Table("card", "title", "licence", box=None)
        for path in sorted(shipped("data_cards").glob("*.yaml")):
            card = load_card(str(path))
            table.add_row(card.name, card.title, card.licence)
        console.print(table)
        return 0
    card = load_card(arguments.card, arguments.root)
    console.print(f"[bold]{card.name}[/]: {card.title}\nlicence: {card.licence}\ncite: {card.cite}", highlight=False)
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

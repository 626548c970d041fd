"""Where numbers come from: what did not run and why, versions and data, the command of every row."""

from __future__ import annotations

import shlex

from molfusion.provenance import source_digest
from molfusion.report.grid import Grid
from molfusion.report.results import Sweep

_NOT_SETTINGS = {"--out", "--only", "--jobs", "-j"}  # with a value each
_FLAGS = {"--retry", "--plan", "--debug"}


def missing(sweep: Sweep) -> Grid:
    """A line a run that has no result, with the reason."""
    rows = [
        [table.name, row.label, "–" if row.baseline else str(seed), status, reason]
        for table in sweep.tables
        for row in table.rows
        for seed, status, reason in row.missing
    ]
    note = "`n/a`: the task cannot be put to that encoder. Everything else can be tried again with `molfusion sweep … --retry`."
    return Grid("Not run, and why", ["table", "row", "seed", "status", "reason"], rows, note)


def origin(sweep: Sweep) -> list[Grid]:
    """Rows that other code made, machine and versions; and the data with their licences."""
    return [_machine(sweep), _data(sweep)]


def _machine(sweep: Sweep) -> Grid:
    """A line a fact, with all that the runs say of it: they may have run on several machines."""
    now = source_digest()
    found: dict[str, dict[str, None]] = {}
    stale = set()
    for table in sweep.tables:
        for row in table.rows:
            for made in (r.record["provenance"] for r in row.results if r.record.get("provenance")):
                if made["source_digest"] != now:
                    stale.add(f"{table.name}/{row.label}")
                told = {name: made[name] for name in ("processor", "cores", "device", "python", "molfusion")}
                for name, value in (told | {"source": made["source_digest"]} | made["versions"]).items():
                    found.setdefault(name, {})[str(value)] = None
    rows = [[name, "; ".join(values)] for name, values in found.items()]
    if stale:
        rows.insert(0, ["made by other code than is installed now: run again to refresh", ", ".join(sorted(stale))])
    return Grid("Machine and versions", ["", "in the runs"], rows, emphasis=[bool(stale), *[False] * len(found)])


def _data(sweep: Sweep) -> Grid:
    """A line a card, as it was when its records were read."""
    records = (r.record["data"] for t in sweep.tables for row in t.rows for r in row.results if "data" in r.record)
    cards = {(card["card"], card["card_digest"]): card for card in records}
    rows = [
        [name, digest[:12], card["title"], ", ".join(f"{split} {count}" for split, count in card["records"].items()),
         str(card["dropped"]), card["licence"], card["cite"]]
        for (name, digest), card in sorted(cards.items(), key=lambda c: c[0])
    ]  # fmt: skip
    return Grid("Data", ["card", "digest", "title", "records", "left out", "licence", "cite"], rows)


def commands(sweep: Sweep) -> Grid:
    """How to make each row again: all its seeds with whatever it is built on, or one run from its own config."""
    settings = _settings(sweep.command)
    rows = []
    for table in sweep.tables:
        for row in table.rows:
            if not row.results:
                continue
            if row.baseline:
                rows.append([table.name, row.label, "with any row of its table, from the same data", ""])
                continue
            chosen = ["--only", f"table={table.name}", "--only", f"row={row.label}"]
            whole = shlex.join(["molfusion", "sweep", sweep.file, *chosen, *settings, "--out", "NEW_FOLDER"])
            config = str(row.results[0].folder / "config.yaml")
            rows.append([table.name, row.label, whole, shlex.join(["molfusion", "fit", "-c", config, "--run", "NEW_FOLDER"])])
    note = (
        "The first command trains all seeds of a row and what it is built on; the second one run, of the first seed, on the"
        " exports of earlier stages that lie beside it. Both from the folder in which the sweep was started; the same versions"
        " on the same machine give the same numbers."
    )
    return Grid("Each row again", ["table", "row", "row and all it needs", "one run"], rows, note)


def _settings(command: str) -> list[str]:
    """What a sweep's command line set of the configs: its options with their values, less those of the sweep itself."""
    words = iter(shlex.split(command))
    if [next(words, ""), next(words, "")] != ["molfusion", "sweep"]:
        return []
    kept: list[str] = []
    for word in words:
        name, _, value = word.partition("=")
        if not word.startswith("-") or word in _FLAGS:
            continue  # the file, or a switch
        pair = [word] if value else [word, next(words, "")]
        if name not in _NOT_SETTINGS:
            kept += pair
    return kept

"""A sweep file as a list of runs: what each is, what it needs, where it goes.

```yaml
extends: side_by_side.yaml                  # optional: this file over that one; null takes away what that one has
title: Which fusion helps?
seeds: [0, 1, 2]
config: [../base.yaml]                      # of every run
set: {data.batch_size: 32}
tables:
  retrieval:
    config: [../tasks/retrieval.yaml]
    rows:
      GIN: {set: {model.encoder: ../encoders/tiny/gin.yaml}}
      QFormer(GIN):
        needs: retrieval/GIN                # that row's export, same seed, fills {needs}; of several rows:
                                            # {query: Image, context: E3FP} fill {query} and {context}
        set: {model.encoder: ../encoders/tiny/qformer_gin.yaml, model.encoder.encoder: "{needs}/encoder.yaml"}
        parts: [GIN]                        # lift is measured against the best of these
        control: GIN, continued             # and beside it against this one, better matched in steps and parameters;
                                            # without it the best part is the control, where it was trained as long
    axes: {model.width: [64, 256]}          # a product: each row once for every combination
    baselines: [chance, ridge]
    reliance: [shuffle, blank, twin]        # of every row with parts: what it loses without each of its inputs
  property:
    rows_of: {table: retrieval, set: {model.encoder.encoder: "{needs}/encoder.yaml"}}   # one for each of that table's
  large:
    set: {data.atoms: {test: [20, 99]}}
    rows:
      GIN: {trained: retrieval/GIN}         # that run once more, not trained but asked anew under these settings over its own
  # rows_of: {table: retrieval, trained: true} does so with each of that table's
```
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from molfusion.config import Composed, ConfigError, compose, digest
from molfusion.data.borrow import How
from molfusion.sweep.rows import TRAINED, Row, Specs, needed_rows
from molfusion.sweep.rows import rows as rows_of_table
from molfusion.sweep.spec import near, read


@dataclass
class Cell:
    """One run of a sweep."""

    table: str
    row: str
    seed: int
    config: Composed
    folder: Path
    needs: dict[str, Cell] = field(default_factory=dict)  # by the name under which `set` asks for them
    parts: tuple[str, ...] = ()
    control: str = ""
    reliance: tuple[How, ...] = ()  # in which ways its inputs are taken away once it is trained

    @property
    def key(self) -> str:
        return f"{self.table}/{self.row}/{self.seed}"

    @property
    def trained(self) -> Cell | None:
        """The run that is asked anew, where nothing is to be trained."""
        return self.needs.get(TRAINED)


@dataclass
class Table:
    """One question put to every row."""

    name: str
    about: str
    headline: list[str]
    baselines: list[str]
    specs: Specs

    @property
    def rows(self) -> list[str]:
        return list(self.specs)


@dataclass
class Plan:
    """Everything a sweep will do."""

    title: str
    about: str
    seeds: list[int]
    tables: list[Table]
    cells: list[Cell] = field(default_factory=list)


def plan(file: Path, out: Path, overrides: Sequence[str] = (), only: Mapping[str, set[str]] | None = None) -> Plan:
    """Compose every run of a sweep.

    Args:
        file: the sweep.
        out: the folder its runs go under.
        overrides: applied to every run.
        only: for `table`, `row` or `seed`, the values to keep (with what they need).

    Raises:
        ConfigError: an unknown key, a row that needs one that is not there, a config that does not compose.
    """
    spec = read(file)
    seeds = spec.get("seeds", [0])
    made = Plan(str(spec.get("title", file.stem)), str(spec.get("about", "")), seeds, [])
    cells: dict[str, Cell] = {}
    folders: set[Path] = set()
    for name, table in spec.get("tables", {}).items():
        if slug(str(name)) != name:
            raise ConfigError(f"{file}: tables.{name}: it names a folder: write it as {slug(str(name))!r}")
        rows = list(rows_of_table(file, name, table, {t.name: t.specs for t in made.tables}))
        headline, baselines = list(table.get("headline", [])), list(table.get("baselines", []))
        specs = {row.label: row.spec for row in rows}
        made.tables.append(Table(name, str(table.get("about", "")), headline, baselines, specs))
        for row, seed in itertools.product(rows, seeds):
            cell = _cell(file, out, spec, table, name, row, seed, cells, overrides)
            if cell.key in cells or cell.folder in folders:
                raise ConfigError(f"{file}: tables.{name}: two runs are {row.label!r} with seed {seed}: name them apart")
            cells[cell.key] = cell
            folders.add(cell.folder)
    if not cells:
        raise ConfigError(f"{file}: no rows: give `tables: {{name: {{rows: …}}}}`")
    made.cells = _kept(list(cells.values()), only or {})
    kept = {cell.table for cell in made.cells}
    made.tables = [table for table in made.tables if table.name in kept]
    return made


def _cell(
    file: Path,
    out: Path,
    spec: Mapping[str, Any],
    table: Mapping[str, Any],
    name: str,
    row: Row,
    seed: int,
    cells: Mapping[str, Cell],
    overrides: Sequence[str],
) -> Cell:
    where = f"{file}: tables.{name}.rows.{row.label}"
    needs = {slot: _needed(slot, needed, name, seed, cells, where) for slot, needed in needed_rows(row.spec).items()}
    trained = needs.get(TRAINED)
    # A run that is asked anew keeps its config; what stands over the whole sweep is in that already.
    layers = [spec, table, row.spec] if trained is None else [{"set": table.get("set", {})}, row.spec]
    base = [] if trained is None else list(trained.config.tree.items())
    files = [path for layer in layers for path in layer.get("config", [])]
    settings: list[Any] = [("seed_everything", seed)]
    for layer in layers:
        settings += [(k, _filled(v, needs, where)) for k, v in layer.get("set", {}).items()]
    settings += list(row.axis)
    try:
        config = compose(files, [*base, *settings], file.parent)
        config = compose([], [*config.tree.items(), *overrides]) if overrides else config
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error
    parts, control = tuple(row.spec.get("parts", ())), str(row.spec.get("control", ""))
    folder = out / name / slug(row.label) / f"seed{seed}-{digest(config.tree)[:8]}"
    asked = tuple(table.get("reliance", ())) if parts else ()  # of fusions: the question is which input they use
    return Cell(name, row.label, seed, config, folder, needs, parts, control, asked)


def _needed(slot: str, needed: str, table: str, seed: int, cells: Mapping[str, Cell], where: str) -> Cell:
    """That row's run of the same seed, of this table or of the one it names."""
    where = f"{where}.{TRAINED if slot == TRAINED else 'needs'}"
    found = cells.get(f"{table}/{needed}/{seed}") or cells.get(f"{needed}/{seed}")
    if found is not None and found.trained:
        raise ConfigError(f"{where}: {needed!r} is only asked; name {found.trained.key.rpartition('/')[0]!r}, which is trained")
    if found is None:
        known = {key.rpartition("/")[0] for key in cells}
        hint = near(f"{table}/{needed}", known) or near(needed, known)
        raise ConfigError(f"{where}: no row {needed!r} before this one{hint}")
    return found


def _filled(value: Any, needs: Mapping[str, Cell], where: str) -> Any:
    """`{needs}/encoder.yaml` as the fragment that the needed run will export; its weights come later."""
    if not (isinstance(value, str) and (asked := re.match(r"\{(\w+)\}", value))):
        return value
    slot = asked[1]
    if slot not in needs:
        raise ConfigError(f"{where}: {value!r} without `needs`" + (f" of that name: {', '.join(needs)}" if needs else ""))
    match = re.fullmatch(r"\{\w+\}/(\w+)\.yaml", value)
    if match is None:
        raise ConfigError(f"{where}: {value!r}: expected {{{slot}}}/encoder.yaml")
    from molfusion.describe import exported_fragment

    # Named by the needed run, not by a path that may not exist yet: the digest holds wherever the sweep runs.
    cell = needs[slot]
    return exported_fragment(cell.config.tree, match[1], f"run:{cell.folder.name}/{match[1]}.safetensors")


def _kept(cells: list[Cell], only: Mapping[str, set[str]]) -> list[Cell]:
    def chosen(cell: Cell) -> bool:
        values = {"table": cell.table, "row": cell.row, "seed": str(cell.seed)}
        return all(values[key] in wanted for key, wanted in only.items())

    for key, wanted in only.items():
        known = {str(getattr(cell, key)) for cell in cells}
        if unknown := sorted(wanted - known):
            raise ConfigError(f"command line: --only {key}={unknown[0]}: no such {key}{near(unknown[0], known)}")
    if not any(map(chosen, cells)):
        raise ConfigError("command line: --only: together these keep no run")
    keep: set[str] = set()
    for cell in cells:
        if chosen(cell):
            keep |= {c.key for c in ancestry(cell)}
    return [c for c in cells if c.key in keep]


def ancestry(cell: Cell) -> list[Cell]:
    """The cell, and all that it is built on."""
    return [cell, *(c for needed in cell.needs.values() for c in ancestry(needed))]


def slug(label: str) -> str:
    """A label as a folder's name."""
    return re.sub(r"[^A-Za-z0-9.=+-]+", "_", label).strip("._") or "run"


def resolved(cell: Cell) -> Composed:
    """The cell's config with `run:…` replaced by the files that the needed run has written by now."""
    homes = {c.folder.name: c.folder for c in ancestry(cell)}

    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: walk(v) for k, v in value.items()}
        if isinstance(value, list):
            return [walk(v) for v in value]
        if isinstance(value, str) and value.startswith("run:"):
            name, _, file = value.removeprefix("run:").partition("/")
            return str((homes[name] / file).resolve())
        return value

    return Composed(walk(cell.config.tree), cell.config.origin)

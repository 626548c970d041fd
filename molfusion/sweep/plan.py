"""A sweep file as a list of runs: what each is, what it needs, where it goes.

```yaml
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
        needs: retrieval/GIN                # that row's export, same seed, fills {needs}
        set: {model.encoder: ../encoders/tiny/qformer_gin.yaml, model.encoder.encoder: "{needs}/encoder.yaml"}
        parts: [GIN]                        # lift is measured against the best of these
        control: GIN, continued             # and beside it against this one, matched in steps and parameters
    axes: {model.width: [64, 256]}          # a product: each row once for every combination
    baselines: [chance, ridge]
  property:
    rows_of: {table: retrieval, set: {model.encoder.encoder: "{needs}/encoder.yaml"}}   # one for each of that table's
```
"""

from __future__ import annotations

import difflib
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from molfusion.config import Composed, ConfigError, compose, digest

_TOP = {"title", "about", "seeds", "config", "set", "tables"}
_TABLE = {"about", "config", "set", "rows", "rows_of", "axes", "baselines", "headline"}
_ROW = {"config", "set", "needs", "parts", "control", "about"}


@dataclass
class Cell:
    """One run of a sweep."""

    table: str
    row: str
    seed: int
    config: Composed
    folder: Path
    needs: Cell | None = None
    parts: tuple[str, ...] = ()
    control: str = ""

    @property
    def key(self) -> str:
        return f"{self.table}/{self.row}/{self.seed}"


@dataclass
class Table:
    """One question put to every row."""

    name: str
    about: str
    headline: list[str]
    baselines: list[str]
    specs: dict[str, Mapping[str, Any]]  # row -> what the file says of it

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


@dataclass(frozen=True)
class _Row:
    label: str
    spec: Mapping[str, Any]
    axis: tuple[tuple[str, Any], ...]


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
    spec = _read(file)
    _known(file, "", spec, _TOP)
    seeds = [int(s) for s in spec.get("seeds", [0])]
    made = Plan(str(spec.get("title", file.stem)), str(spec.get("about", "")), seeds, [])
    cells: dict[str, Cell] = {}
    for name, table in (spec.get("tables") or {}).items():
        _known(file, f"tables.{name}", table, _TABLE)
        rows = list(_rows(file, name, table, made))
        headline, baselines = list(table.get("headline", [])), list(table.get("baselines", []))
        specs = {row.label: row.spec for row in rows}
        made.tables.append(Table(name, str(table.get("about", "")), headline, baselines, specs))
        for row, seed in itertools.product(rows, seeds):
            cell = _cell(file, out, spec, table, name, row, seed, cells, overrides)
            cells[cell.key] = cell
    if not cells:
        raise ConfigError(f"{file}: no rows: give `tables: {{name: {{rows: …}}}}`")
    made.cells = _kept(list(cells.values()), only or {})
    return made


def _read(file: Path) -> dict[str, Any]:
    try:
        spec = yaml.safe_load(file.read_text())
    except FileNotFoundError as error:
        raise ConfigError(f"no such sweep: {file}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{file}: not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(spec, dict):
        raise ConfigError(f"{file}: expected a mapping of keys")
    return spec


def _known(file: Path, where: str, given: Any, known: set[str]) -> None:
    if not isinstance(given, Mapping):
        raise ConfigError(f"{file}: {where}: expected a mapping, found {type(given).__name__}")
    for key in given:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(known))}"
            raise ConfigError(f"{file}: {f'{where}.' if where else ''}{key}: unknown key; {hint}")


def _rows(file: Path, name: str, table: Mapping[str, Any], made: Plan) -> Iterator[_Row]:
    specs: dict[str, Mapping[str, Any]] = {}
    if source := table.get("rows_of"):
        _known(file, f"tables.{name}.rows_of", source, {"table", "set"})
        other = next((t for t in made.tables if t.name == source.get("table")), None)
        if other is None:
            raise ConfigError(f"{file}: tables.{name}.rows_of: no table {source.get('table')!r} before this one")
        for label, given in other.specs.items():
            inherited = {key: given[key] for key in ("parts", "control") if key in given}
            specs[label] = {**inherited, "needs": f"{other.name}/{label}", "set": source.get("set", {})}
    for label, row in (table.get("rows") or {}).items():
        _known(file, f"tables.{name}.rows.{label}", row, _ROW)
        specs[str(label)] = row
    axes = table.get("axes") or {}
    for label, spec in (specs or {"": {}}).items():
        for values in itertools.product(*axes.values()):
            point = tuple(zip(axes, values, strict=True))
            marks = [f"{key.rpartition('.')[2]}={_short(value)}" for key, value in point]
            yield _Row(" ".join(p for p in (label, *marks) if p) or name, spec, point)


def _short(value: Any) -> str:
    return Path(value).stem if isinstance(value, str) and value.endswith(".yaml") else str(value)


def _cell(
    file: Path,
    out: Path,
    spec: Mapping[str, Any],
    table: Mapping[str, Any],
    name: str,
    row: _Row,
    seed: int,
    cells: Mapping[str, Cell],
    overrides: Sequence[str],
) -> Cell:
    where = f"{file}: tables.{name}.rows.{row.label}"
    needed = str(row.spec.get("needs") or "")
    needs = None
    if needed:
        key = f"{needed if '/' in needed else f'{name}/{needed}'}/{seed}"
        if key not in cells:
            near = difflib.get_close_matches(key, cells, 1)
            hint = f"; did you mean {near[0].rpartition('/')[0]!r}?" if near else ""
            raise ConfigError(f"{where}.needs: no row {needed!r} before this one{hint}")
        needs = cells[key]
    layers = [spec, table, row.spec]
    files = [path for layer in layers for path in layer.get("config", [])]
    settings: list[Any] = [("seed_everything", seed)]
    for layer in layers:
        settings += [(k, _filled(v, needs, where)) for k, v in (layer.get("set") or {}).items()]
    settings += list(row.axis)
    try:
        config = compose(files, settings, file.parent)
        config = compose([], [*config.tree.items(), *overrides]) if overrides else config
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error
    parts, control = tuple(row.spec.get("parts", ())), str(row.spec.get("control", ""))
    folder = out / name / slug(row.label) / f"seed{seed}-{digest(config.tree)[:8]}"
    return Cell(name, row.label, seed, config, folder, needs, parts, control)


def _filled(value: Any, needs: Cell | None, where: str) -> Any:
    """`{needs}/encoder.yaml` as the fragment that the needed run will export; its weights come later."""
    if not (isinstance(value, str) and "{needs}" in value):
        return value
    if needs is None:
        raise ConfigError(f"{where}: {value!r} without `needs`")
    match = re.fullmatch(r"\{needs\}/(\w+)\.yaml", value)
    if match is None:
        raise ConfigError(f"{where}: {value!r}: expected {{needs}}/encoder.yaml")
    from molfusion.describe import exported_fragment

    # Named by the needed run, not by a path that may not exist yet: the digest holds wherever the sweep runs.
    return exported_fragment(needs.config.tree, match[1], f"run:{needs.folder.name}/{match[1]}.safetensors")


def _kept(cells: list[Cell], only: Mapping[str, set[str]]) -> list[Cell]:
    def chosen(cell: Cell) -> bool:
        values = {"table": cell.table, "row": cell.row, "seed": str(cell.seed)}
        return all(values[key] in wanted for key, wanted in only.items())

    keep: set[str] = set()
    for cell in cells:
        if chosen(cell):
            current: Cell | None = cell
            while current is not None:
                keep.add(current.key)
                current = current.needs
    return [c for c in cells if c.key in keep]


def slug(label: str) -> str:
    """A label as a folder's name."""
    return re.sub(r"[^A-Za-z0-9.=+-]+", "_", label).strip("_") or "run"


def resolved(cell: Cell) -> Composed:
    """The cell's config with `run:…` replaced by the files that the needed run has written by now."""
    homes = {}
    current = cell.needs
    while current is not None:
        homes[current.folder.name] = current.folder
        current = current.needs

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

"""The rows of a sweep's table: those it lists, those it takes from another table, each at every point of its axes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from molfusion.config import ConfigError
from molfusion.sweep.spec import near

TRAINED = "trained"  # the slot of the run that a row asks anew
Specs = dict[str, Mapping[str, Any]]  # label -> what the file says of that row


@dataclass(frozen=True)
class Row:
    """One row at one point of the axes."""

    label: str
    spec: Mapping[str, Any]
    axis: tuple[tuple[str, Any], ...]
    base: str = ""  # the label without the point


def rows(file: Path, name: str, table: Mapping[str, Any], earlier: Mapping[str, Specs]) -> Iterator[Row]:
    """The rows of one table, each once for every point of its axes.

    Args:
        file: of the sweep, for messages.
        name: of the table.
        table: what the file says of it.
        earlier: the rows of the tables before it, for `rows_of`.

    Raises:
        ConfigError: `rows_of`, `parts` or `control` name what is not there.
    """
    specs: Specs = {}
    if source := table.get("rows_of"):
        other = source.get("table")
        if other not in earlier:
            raise ConfigError(f"{file}: tables.{name}.rows_of: no table {other!r} before this one{near(str(other), earlier)}")
        for label, given in earlier[other].items():
            inherited = {key: given[key] for key in ("parts", "control") if key in given}
            slot = TRAINED if source.get(TRAINED) else "needs"
            specs[label] = {**inherited, slot: f"{other}/{label}", "set": source.get("set", {})}
    specs |= {str(label): row for label, row in table.get("rows", {}).items()}
    for label, spec in specs.items():
        for key in ("parts", "control"):
            for named in _names(spec, key):
                if named not in specs:
                    where = f"{file}: tables.{name}.rows.{label}.{key}"
                    raise ConfigError(f"{where}: no row {named!r} in this table{near(named, specs)}")
    axes = table.get("axes", {})
    for label, spec in (specs or {"": {}}).items():
        for values in itertools.product(*axes.values()):
            point = tuple(zip(axes, values, strict=True))
            marks = [mark(key, value) for key, value in point]
            yield Row(_marked(label, marks) or name, _at(spec, name, specs, marks), point, label)


def mark(key: str, value: Any) -> str:
    """One coordinate of a point, as it stands in a label."""
    return f"{key.rpartition('.')[2]}={short(value)}"


def needed_rows(spec: Mapping[str, Any]) -> dict[str, str]:
    """The rows that a row is built on, by the name that stands in braces where their exports go."""
    needs = spec.get("needs") or {}
    found = {str(k): str(v) for k, v in needs.items()} if isinstance(needs, Mapping) else {"needs": str(needs)}
    return found | ({TRAINED: str(spec[TRAINED])} if spec.get(TRAINED) else {})


def _names(spec: Mapping[str, Any], key: str) -> list[str]:
    value = spec.get(key) or []
    return [str(v) for v in value] if isinstance(value, list) else [str(value)]


def _marked(label: str, marks: Sequence[str]) -> str:
    return " ".join(part for part in (label, *marks) if part)


def _at(spec: Mapping[str, Any], name: str, specs: Specs, marks: Sequence[str]) -> Mapping[str, Any]:
    """What a row says at one point of the axes: the rows of its own table that it names are meant at that point too."""
    out = dict(spec)
    if needed := needed_rows(spec):
        own = {slot: label.removeprefix(f"{name}/") for slot, label in needed.items()}
        meant = {slot: _marked(own[slot], marks) if own[slot] in specs else label for slot, label in needed.items()}
        out |= {TRAINED: meant.pop(TRAINED)} if TRAINED in meant else {}
        out["needs"] = meant
    if "parts" in spec:
        out["parts"] = [_marked(part, marks) for part in _names(spec, "parts")]
    if spec.get("control"):
        out["control"] = _marked(str(spec["control"]), marks)
    return out


def short(value: Any) -> str:
    """A value of an axis in few words: of a config file its name."""
    return Path(value).stem if isinstance(value, str) and value.endswith(".yaml") else str(value)

"""A sweep file, read and checked: names and shapes, before anything is composed."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from molfusion.config import ConfigError
from molfusion.data.borrow import HOWS
from molfusion.paths import shipped

TOP = {"extends", "title", "about", "seeds", "config", "set", "tables"}
TABLE = {"reliance", "about", "config", "set", "rows", "rows_of", "axes", "baselines", "headline"}
ROW = {"config", "set", "needs", "trained", "parts", "control", "about"}

_MAPPINGS = {"set", "tables", "rows", "rows_of", "axes"}
_LISTS = {"seeds", "config", "baselines", "headline", "parts", "reliance"}


def read(file: Path) -> dict[str, Any]:
    """The file over the one that it extends, every key known and of the right shape.

    Raises:
        ConfigError: no such file, not YAML, an unknown key, a list or a mapping where the other is expected.
    """
    spec = _load(file, ())
    if wrong := [s for s in spec.get("seeds", []) if not isinstance(s, int)]:
        raise ConfigError(f"{file}: seeds: {wrong[0]!r} is not a whole number")
    for name, table in spec.get("tables", {}).items():
        where = f"tables.{name}"
        _check(file, where, table, TABLE)
        _check(file, f"{where}.rows_of", table.get("rows_of", {}), {"table", "set", "trained"})
        for axis, values in table.get("axes", {}).items():
            if not isinstance(values, list) or not values:
                raise ConfigError(f"{file}: {where}.axes.{axis}: expected a list of values, found {values!r}")
        if wrong := [str(h) for h in table.get("reliance", []) if h not in HOWS]:
            raise ConfigError(f"{file}: {where}.reliance: {wrong[0]!r} is unknown; there are {', '.join(HOWS)}")
        for label, row in table.get("rows", {}).items():
            _check(file, f"{where}.rows.{label}", row, ROW)
    return spec


def find(name: str, folder: Path = Path()) -> Path:
    """The file, or what ships under that name: `side_by_side.yaml`, `experiments/sweeps/side_by_side.yaml`."""
    path, home = folder / name, shipped("experiments")
    spares = (home / name.removeprefix("experiments/"), home / "sweeps" / name)
    return path if path.is_file() else next((s for s in spares if s.is_file()), path)


def _load(file: Path, stack: tuple[Path, ...]) -> dict[str, Any]:
    """One file over its base; `null` takes away what the base has."""
    try:
        found = yaml.safe_load(file.read_text())
    except FileNotFoundError as error:
        raise ConfigError(f"no such sweep: {file}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{file}: not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(found, dict):
        raise ConfigError(f"{file}: expected a mapping of keys")
    spec: dict[str, Any] = {str(key): value for key, value in found.items()}
    base = spec.pop("extends", None)
    if base is not None:
        path = find(str(base), file.parent)
        if path.resolve() in (stack := (*stack, file.resolve())):
            raise ConfigError(f"extends in a circle: {' -> '.join(str(p) for p in (*stack, path.resolve()))}")
        spec = _over(_seen_from(_load(path, stack), path.parent, file.parent), spec)
    _check(file, "", spec, TOP)
    return spec


def _over(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    out = dict(base)
    for key, value in own.items():
        old = out.get(key)
        if value is None and key in out:
            del out[key]
        elif isinstance(old, Mapping) and isinstance(value, Mapping):
            out[key] = {**old, **value} if key == "set" else _over(old, value)  # of a setting, null is a value
        else:
            out[key] = value
    return out


def _seen_from(value: Any, home: Path, folder: Path) -> Any:
    """Paths of files beside the base, as they are seen from the file that extends it."""
    if isinstance(value, Mapping):
        return {key: _seen_from(v, home, folder) for key, v in value.items()}
    if isinstance(value, list):
        return [_seen_from(v, home, folder) for v in value]
    if isinstance(value, str) and os.path.isfile(home / value):  # noqa: PTH113 - Path.is_file raises for a long text
        return os.path.relpath(home / value, folder)
    return value


def near(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'GIN'?`, or nothing."""
    found = difflib.get_close_matches(name, list(known), 1)
    return f"; did you mean {found[0]!r}?" if found else ""


def _check(file: Path, where: str, given: Any, known: set[str]) -> None:
    if not isinstance(given, Mapping):
        raise ConfigError(f"{file}: {where}: expected a mapping, found {_found(given)}")
    for key, value in given.items():
        here = f"{file}: {f'{where}.' if where else ''}{key}"
        if key not in known:
            hint = near(str(key), known) or f"; known: {', '.join(sorted(known))}"
            raise ConfigError(f"{here}: unknown key{hint}")
        if key in _MAPPINGS and not isinstance(value, Mapping):
            raise ConfigError(f"{here}: expected a mapping, found {_found(value)}")
        if key in _LISTS and not isinstance(value, list):
            raise ConfigError(f"{here}: expected a list, such as [{value}], found {_found(value)}")


def _found(value: Any) -> str:
    return "nothing" if value is None else f"{value!r} ({type(value).__name__})"

"""Composing configs: several files, `extends:`, fragments by path, overrides, interpolation. OmegaConf only, no torch.

Rules, in this order:

1. `extends:` names files that come before the one that names them.
2. Files merge key by key; where `class_path` changes, the old `init_args` go (they belong to another class).
3. A string that ends in .yaml stands for the mapping in that file; if that has a `class_path`, it replaces all that stood
   there, of whatever class. One that begins with ./ or ../ is a path relative to the file that names it. On the command
   line both start from the working directory.
4. Overrides (`--data.batch_size 32`, `data.batch_size=32`) come after all files. `--model.encoder.layers 3` finds
   its way through `init_args` by itself.
5. `${data.card}` is resolved last, so that it sees the overrides.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from molfusion.errors import MolfusionError
from molfusion.paths import shipped

Tree = dict[str, Any]

COMMAND_LINE = "command line"
# A data card is named, not spliced in: it is another kind of file.
_NOT_FRAGMENTS = {"card"}


class _Named(dict[str, Any]):
    """A fragment that came by the name of its file."""


class ConfigError(MolfusionError):
    """One line: which file, which key, what is wrong, what was probably meant."""


@dataclass
class Composed:
    """A config, and for every key in it the file that set it."""

    tree: Tree
    origin: dict[str, str]

    def source(self, key: str) -> str:
        """The file that set `key`, or the nearest key around or inside it."""
        parts = key.split(".")
        for end in range(len(parts), 0, -1):
            prefix = ".".join(parts[:end])
            if prefix in self.origin:
                return self.origin[prefix]
            inside = next((f for k, f in self.origin.items() if k.startswith(prefix + ".")), None)
            if inside:
                return inside
        return "config"


def compose(
    files: Sequence[str | Path], overrides: Sequence[str | tuple[str, Any]] = (), folder: Path | None = None
) -> Composed:
    """The config that these files and overrides make.

    Args:
        files: in the order in which they merge.
        overrides: `key=value` as on a command line, or a key with a value (a scalar, or a whole fragment).
        folder: where relative paths among files and overrides start; by default the working directory.

    Raises:
        ConfigError: a missing file, bad YAML, a cycle, an override of nothing, an interpolation of nothing.
    """
    merged: Tree = {}
    origin: dict[str, str] = {}
    start = folder or Path()
    for file in files:
        _merge_into(merged, _load(_find(str(file), start), origin, ()), origin)
    for item in overrides:
        key, value = _override(item) if isinstance(item, str) else item
        layer: Tree = {}
        _place(layer, merged, key, value)
        _merge_into(merged, _expand(layer, start, origin, "", (), COMMAND_LINE), origin)
    return Composed(_resolve(merged, origin), origin)


def digest(tree: Mapping[str, Any]) -> str:
    """Of a composed config, every file it names counted by content."""
    return hashlib.sha256(json.dumps(_with_files(tree), sort_keys=True).encode()).hexdigest()[:16]


def _with_files(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _with_files(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_with_files(v) for v in value]
    if isinstance(value, str) and "/" in value and os.path.isfile(value):  # noqa: PTH113 - Path.is_file raises for a long text
        with Path(value).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    return value


# -- files -------------------------------------------------------------------------------------------


def _find(name: str, folder: Path) -> Path:
    """A config by path; where there is none, the one that ships with molfusion under that path."""
    path = folder / Path(name).expanduser()
    if path.is_file():
        return path.resolve()
    spare = shipped("experiments") / name.removeprefix("experiments/")
    if spare.is_file():
        return spare.resolve()
    raise ConfigError(f"no such config file: {path}")


def _load(path: Path, origin: dict[str, str], stack: tuple[Path, ...]) -> Tree:
    if path in stack:
        raise ConfigError("extends in a circle: " + " -> ".join(str(p) for p in (*stack, path)))
    try:
        raw = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    except Exception as error:
        raise ConfigError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}: expected a mapping of keys, found {type(raw).__name__}")
    tree: Tree = {str(k): v for k, v in raw.items()}
    bases = tree.pop("extends", [])
    merged: Tree = {}
    for base in [bases] if isinstance(bases, str) else bases:
        _merge_into(merged, _load(_find(base, path.parent), origin, (*stack, path)), origin)
    own = _expand(tree, path.parent, origin, "", (*stack, path), str(path))
    _merge_into(merged, own, origin)
    return merged


def _expand(value: Any, folder: Path, origin: dict[str, str], key: str, stack: tuple[Path, ...], source: str) -> Any:
    """Fragments for the paths that name them; relative paths made absolute; every key's file noted."""
    if key:
        origin[key] = source
    if isinstance(value, dict):
        return {
            str(k): _expand(v, folder, origin, f"{key}.{k}" if key else str(k), stack, source)
            for k, v in value.items()
        }
    if isinstance(value, list):
        return [_expand(v, folder, origin, f"{key}.{i}", stack, source) for i, v in enumerate(value)]
    if not isinstance(value, str) or key.rpartition(".")[2] in _NOT_FRAGMENTS:
        return _absolute(value, folder)
    if value.endswith((".yaml", ".yml")) and not value.startswith("${"):
        path = _find(value, folder)
        inner: dict[str, str] = {}
        tree = _load(path, inner, stack)
        origin.update({f"{key}.{k}": f for k, f in inner.items()})
        return _Named(tree)
    return _absolute(value, folder)


def _absolute(value: Any, folder: Path) -> Any:
    if isinstance(value, str) and value.startswith(("./", "../")):
        return str((folder / value).resolve())
    return value


# -- merging -----------------------------------------------------------------------------------------


def _merge_into(into: Tree, layer: Tree, origin: dict[str, str], key: str = "") -> None:
    for name, value in layer.items():
        here = f"{key}.{name}" if key else name
        old = into.get(name)
        if isinstance(old, dict) and isinstance(value, dict):
            if "class_path" in value and (isinstance(value, _Named) or value["class_path"] != old.get("class_path")):
                old.pop("init_args", None)
                kept = {k for k, _ in _leaves(value, here)}
                for stale in [k for k in origin if k.startswith(f"{here}.init_args.") and k not in kept]:
                    if not any(k.startswith(stale + ".") for k in kept):
                        del origin[stale]
            _merge_into(old, value, origin, here)
        else:
            into[name] = value


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, list) else value


def _leaves(tree: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(tree, dict) and tree:
        for k, v in tree.items():
            yield from _leaves(v, f"{key}.{k}" if key else str(k))
    else:
        yield key, tree


# -- overrides ---------------------------------------------------------------------------------------


def _override(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise ConfigError(f"{COMMAND_LINE}: {text!r} is not KEY=VALUE")
    try:
        return key, OmegaConf.to_container(OmegaConf.from_dotlist([f"v={value}"]), resolve=False)["v"]  # type: ignore[call-overload,index]
    except Exception as error:
        raise ConfigError(f"{COMMAND_LINE}: {key}: cannot read the value {value!r}: {error}") from error


def _place(layer: Tree, merged: Any, key: str, value: Any) -> None:
    """Set `key` in `layer`, going through `init_args` wherever the config so far has a class there."""
    here: Any = layer
    beside: Any = merged
    parts = key.split(".")
    for i, part in enumerate(parts):
        if isinstance(beside, dict) and "class_path" in beside and part not in {"class_path", "init_args"}:
            here = here.setdefault("init_args", {})
            beside = beside.get("init_args", {})
        if i == len(parts) - 1:
            here[part] = value
        else:
            here = here.setdefault(part, {})
            beside = beside.get(part) if isinstance(beside, dict) else None


def _resolve(tree: Tree, origin: dict[str, str]) -> Tree:
    """Interpolations, within the config only: no environment, no code."""
    for key, value in _leaves(tree):
        if isinstance(value, str) and "${" in value and ":" in value[value.index("${") : value.rindex("}") + 1]:
            raise ConfigError(f"{origin.get(key, 'config')}: {key}: {value!r}: only ${{key}} is allowed, no resolver")
    try:
        out = OmegaConf.to_container(OmegaConf.create(_plain(tree)), resolve=True)
    except OmegaConfBaseException as error:
        key = str(getattr(error, "full_key", "") or "?")
        raise ConfigError(f"{origin.get(key, 'config')}: {key}: {' '.join(str(error.msg).split())}") from error
    assert isinstance(out, dict)
    return {str(k): v for k, v in out.items()}

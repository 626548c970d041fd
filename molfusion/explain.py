"""A wrong config in one line: which file, which key, what was probably meant."""

from __future__ import annotations

import difflib
import importlib
import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from molfusion.config import Composed, ConfigError

TRUSTED = ("molfusion.", "torch.", "lightning.", "transformers.")


def check_names(config: Composed, sections: Mapping[str, Any], allowed: Sequence[str] = ()) -> None:
    """Every section, class and argument name, before anything is built.

    Args:
        config: composed.
        sections: top-level keys; the callable whose arguments a section gives, or None for a plain value or a class.
        allowed: prefixes that may be imported beside the trusted ones.

    Raises:
        ConfigError: one line for each name that is wrong.
    """
    problems = list(_problems(config.tree, sections, (*TRUSTED, *(p.rstrip(".") + "." for p in allowed))))
    if problems:
        raise ConfigError("\n".join(f"{config.source(key)}: {key}: {what}" for key, what in problems))


def explain(config: Composed, error: Exception) -> ConfigError:
    """A failed parse or construction as one line that names file and key."""
    text = str(error)
    keys = re.findall(r'(?:Parser key|[Kk]ey) "([^"]+)"', text)
    key = _join(keys, config.tree) if keys else ""
    if isinstance(error, TypeError | ValueError) and not keys:
        return ConfigError(" ".join(text.split()))
    if not key and "backend found" in text:  # Lightning's, of an accelerator that is not there; it names no key
        key, text = "trainer.accelerator", f"{text.rstrip('!')}: set it to cpu, or to auto"
    return ConfigError(f"{config.source(key)}: {key}: {_cause(text)}" if key else f"config: {_cause(text)}")


def _problems(
    tree: Mapping[str, Any], sections: Mapping[str, Any], trusted: tuple[str, ...]
) -> Iterator[tuple[str, str]]:
    for name, value in tree.items():
        if name not in sections:
            yield name, f"unknown section {name!r}{_suggest(name, list(sections))}"
        elif sections[name] is not None and isinstance(value, Mapping):
            yield from _arguments(sections[name], value, name, trusted)
        else:
            yield from _inside(value, name, trusted)


def _inside(value: Any, key: str, trusted: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    if isinstance(value, list):
        for i, item in enumerate(value):
            yield from _inside(item, f"{key}.{i}", trusted)
    elif isinstance(value, Mapping):
        if "class_path" not in value:
            for k, v in value.items():
                yield from _inside(v, f"{key}.{k}", trusted)
            return
        path = str(value["class_path"])
        if "." in path and not path.startswith(trusted):
            yield (
                f"{key}.class_path",
                f"{path!r} is not under {', '.join(t.rstrip('.') for t in trusted)}; "
                f"if you trust it, give --allow-import {path.partition('.')[0]}",
            )
            return
        extra = set(value) - {"class_path", "init_args", "dict_kwargs"}
        for name in sorted(extra):
            yield f"{key}.{name}", f"beside class_path only init_args is expected{_suggest(name, ['init_args'])}"
        try:
            target = _import(path)
        except (ImportError, AttributeError, ValueError) as error:
            yield f"{key}.class_path", f"cannot import {path!r}{_suggest_class(path, error)}"
            return
        yield from _arguments(target, value.get("init_args") or {}, f"{key}.init_args", trusted)


def _arguments(
    target: Any, given: Mapping[str, Any], key: str, trusted: tuple[str, ...]
) -> Iterator[tuple[str, str]]:
    signature = inspect.signature(target.__init__ if inspect.isclass(target) else target)
    names = [p for p in signature.parameters if p != "self"]
    open_ended = any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())
    for name, value in given.items():
        if name not in names and not open_ended:
            shown = key.replace(".init_args", "")
            yield f"{shown}.{name}", f"{target.__name__} has no argument {name!r}{_suggest(name, names)}"
        else:
            yield from _inside(value, f"{key}.{name}", trusted)


def _import(path: str) -> Any:
    module, _, name = path.rpartition(".")
    if not module:
        raise ValueError("a class is named with its module, such as molfusion.encoders.GIN")
    return getattr(importlib.import_module(module), name)


def _suggest_class(path: str, error: Exception) -> str:
    module, _, name = path.rpartition(".")
    try:
        known = [n for n in dir(importlib.import_module(module)) if n[:1].isupper()]
    except (ImportError, ValueError):
        return f": {error}"
    return _suggest(name, known)


def _suggest(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, 1, cutoff=0.5)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; known: {', '.join(known)}" if len(known) <= 12 else ""


def _join(keys: Sequence[str], tree: Mapping[str, Any]) -> str:
    """jsonargparse names nested keys one after the other, each relative to the one before."""
    out = keys[0]
    for key in keys[1:]:
        if key.startswith(out):
            out = key
        elif not out.endswith(key):
            out = f"{out}.{key}" if key.startswith("init_args") else f"{out}.init_args.{key}"
    return out


def _cause(text: str) -> str:
    lines = [line.strip(" -") for line in text.splitlines() if line.strip()]
    wanted = [x for x in lines if re.search(r"[Ee]xpected|not a valid|does not|Unable|must be|Import path", x)]
    best = [x for x in wanted if "NoneType" not in x] or wanted or lines or [text]
    return " ".join(best[-1].split())

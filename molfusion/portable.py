"""Configs that can move: a folder's files by their path from it, with copies of the small ones that a model reads."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from molfusion.paths import atomic

_SMALL = 4 * 2**20  # bytes
_READ = {".txt", ".json", ".model"}  # vocabularies and tokenizers; weights stay where they are
FILES = "files"


def carried(tree: Any, folder: Path) -> Any:
    """A part of a config, with a copy in `folder`/files of every small vocabulary that it names, named in its place."""

    def carry(path: Path) -> Path:
        if path.suffix not in _READ or path.stat().st_size > _SMALL or path.is_relative_to(folder.resolve() / FILES):
            return path
        content = path.read_bytes()
        # Two files of one name may differ; the same file twice is one.
        copy = folder.resolve() / FILES / f"{path.stem}-{hashlib.sha256(content).hexdigest()[:8]}{path.suffix}"
        if not copy.is_file():
            with atomic(copy) as temporary:
                temporary.write_bytes(content)
        return copy

    return _mapped(tree, carry)


def relative(tree: Any, folder: Path) -> Any:
    """A part of a config, the files in it by their path from `folder`, so that both can move together."""
    return _mapped(tree, lambda path: f"./{os.path.relpath(path, folder.resolve())}")


def _mapped(value: Any, change: Any) -> Any:
    """With `change` of every absolute path to a file, as a string."""
    if isinstance(value, Mapping):
        return {k: _mapped(v, change) for k, v in value.items()}
    if isinstance(value, list):
        return [_mapped(v, change) for v in value]
    if isinstance(value, str) and Path(value).is_absolute() and len(value) < 4096 and Path(value).is_file():
        return str(change(Path(value)))
    return value

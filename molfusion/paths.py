"""Where things lie: what ships with the package, and what this machine keeps."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from molfusion.errors import NotFound

_PACKAGE = Path(__file__).parent


def shipped(folder: str) -> Path:
    """`experiments` or `data_cards`: inside an installed package, beside it in a checkout."""
    inside = _PACKAGE / folder
    return inside if inside.is_dir() else _PACKAGE.parent / folder


def package_path(name: str) -> Path:
    """The file or folder that `package://module/rest` names.

    Raises:
        NotFound: the package is not installed, or has no such path.
    """
    module, _, rest = name.removeprefix("package://").partition("/")
    spec = find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise NotFound(f"{name}: the package {module} is not installed; `pip install {module.replace('_', '-')}`")
    path = Path(next(iter(spec.submodule_search_locations))) / rest
    if not path.exists():
        raise NotFound(f"{name}: the package {module} has no {rest!r}")
    return path


def cache_folder() -> Path:
    """$MOLFUSION_CACHE, or ~/.cache/molfusion."""
    return Path(os.environ.get("MOLFUSION_CACHE") or Path.home() / ".cache" / "molfusion")


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Write to the path this yields; it takes the place of `path` when the block ends well, and never half-way."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)

"""A file of a Hugging Face dataset by name. Data files only: no loading script, no pickle, nothing that runs."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from molfusion.data.files import CardError, FileSpec
from molfusion.paths import atomic, cache_folder

if TYPE_CHECKING:
    from collections.abc import Sequence

_SUFFIXES = {".parquet", ".csv", ".tsv", ".txt", ".smi", ".smiles", ".sdf"}


def find(spec: FileSpec) -> list[Path]:
    """The files as `fetch` found them, without the network.

    Raises:
        CardError: they were not fetched, or the hub's cache has lost them.
    """
    from huggingface_hub import snapshot_download

    note = _note(spec)
    if not note.is_file():
        raise CardError(f"dataset {spec.hub} ({_pattern(spec)}) is not on this machine: `molfusion cards fetch` downloads it")
    known = json.loads(note.read_text())
    try:
        where = snapshot_download(
            str(spec.hub),
            repo_type="dataset",
            revision=known["commit"],
            allow_patterns=[_pattern(spec)],
            local_files_only=True,
        )
        folder = Path(where)
        paths = [folder / name for name in known["files"]]
        lost = [p.name for p in paths if not p.is_file()]
    except OSError:
        lost = known["files"]
    if lost:
        raise CardError(f"dataset {spec.hub}: {lost[0]} was fetched but is gone from the Hugging Face cache: fetch it again")
    return paths


def fetch(spec: FileSpec) -> tuple[str, list[Path]]:
    """Download what matches `path`, and note the commit and the files.

    Returns:
        The commit, and the files.

    Raises:
        CardError: not a data file, no such dataset or file, or no connection.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    pattern = _pattern(spec)
    try:
        folder = Path(snapshot_download(str(spec.hub), repo_type="dataset", revision=spec.revision, allow_patterns=[pattern]))
    except (OSError, HfHubHTTPError) as error:
        reason = " ".join(str(error).split())[:200]
        raise CardError(
            f"dataset {spec.hub} cannot be downloaded ({reason}): on a machine without the internet, "
            "copy the files here and give the card `path:`"
        ) from error
    names = _matching(folder, pattern)
    if not names:
        raise CardError(f"dataset {spec.hub} has no file {pattern!r}")
    with atomic(_note(spec)) as path:
        path.write_text(json.dumps({"commit": folder.name, "files": names}))
    return folder.name, [folder / name for name in names]


def _matching(folder: Path, pattern: str) -> Sequence[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.glob(pattern) if p.is_file())


def _pattern(spec: FileSpec) -> str:
    path = PurePosixPath(spec.path or "")
    if not spec.path or path.is_absolute() or ".." in path.parts:
        raise CardError(f"dataset {spec.hub}: name the file within it, such as `path: data/train-*.parquet`")
    if not _SUFFIXES & set(path.suffixes):
        raise CardError(f"dataset {spec.hub}: {spec.path} is no data file; known: {', '.join(sorted(_SUFFIXES))}")
    return str(path)


def _note(spec: FileSpec) -> Path:
    key = hashlib.sha256(f"{spec.hub}|{spec.revision}|{spec.path}".encode()).hexdigest()[:20]
    return cache_folder() / "files" / key / "hub.json"

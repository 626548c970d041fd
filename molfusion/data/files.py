"""The files a card names: where each lies on this machine, and whether it is the one the card means."""

from __future__ import annotations

import gzip
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from molfusion.errors import MolfusionError
from molfusion.paths import cache_folder, package_path


class CardError(MolfusionError):
    """A card, or the data it names, is not as it should be: what was found, what was expected, what to do."""


@dataclass
class FileSpec:
    """One source file: a `path`, a `url`, both (the path is looked at first), or a file of a `hub` dataset.

    Args:
        path: relative to the card or to `--root`, or `package://module/file`; the file may also lie there gzipped
            under the same name and `.gz`. With `hub`: the file within that dataset, `*` for several.
        url: https only; `molfusion cards fetch` puts it into the cache.
        hub: a Hugging Face dataset, `owner/name`.
        revision: of `hub`: a branch, tag or commit.
        member: the one file to take out of a zip or tar at `url`.
        sha256: of the file; of the archive where `member` is given.
        rows: how many it has.
        optional: it may be absent.
    """

    path: str | None = None
    url: str | None = None
    hub: str | None = None
    revision: str | None = None
    member: str | None = None
    sha256: str | None = None
    rows: int | None = None
    optional: bool = False


def locate(spec: FileSpec, folder: Path) -> list[Path]:
    """Where the file is; where it would be, if it is not there. Several only for a `hub` pattern.

    Raises:
        CardError: the spec names nothing, or an installed package lacks it.
    """
    if spec.hub is not None:
        from molfusion.data.hub import find

        return find(spec)
    if spec.path is None:
        return [cached(spec)]
    if spec.path.startswith("package://"):
        try:
            return [package_path(spec.path)]
        except FileNotFoundError as error:
            raise CardError(str(error)) from error
    path = folder / Path(spec.path).expanduser()
    if path.is_file():
        return [path]
    zipped = path.with_name(path.name + ".gz")
    if zipped.is_file():
        return [zipped]
    return [cached(spec) if spec.url is not None and cached(spec).is_file() else path]


def cached(spec: FileSpec) -> Path:
    """Where `cards fetch` puts a url's file: a folder named by the url, a name that cannot leave it.

    Raises:
        CardError: there is no url, or its last part is no plain file name.
    """
    if spec.url is None:
        raise CardError("a file needs a `path`, a `url` or a `hub` dataset")
    name = (spec.member or unquote(urlsplit(spec.url).path)).rsplit("/", 1)[-1]
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", name):
        raise CardError(f"{spec.url}: {name!r} is not a plain file name")
    key = hashlib.sha256(f"{spec.url}|{spec.member or ''}".encode()).hexdigest()[:20]
    return cache_folder() / "files" / key / name


def verify(path: Path, spec: FileSpec) -> None:
    """Compare the file with the spec's checksum; a gzipped stand-in for a plain file by what it unpacks to.

    Raises:
        CardError: it is empty, or another file.
    """
    if path.stat().st_size == 0:
        raise CardError(f"{path} is empty")
    if not spec.sha256 or spec.member:  # an archive was compared before it was opened
        return
    stands_in = path.suffix == ".gz" and not (spec.path or spec.url or "").endswith(".gz")
    found = sha256_of_content(path) if stands_in else sha256(path)
    if found != spec.sha256:
        raise CardError(
            f"{path} has sha256 {found}, the card says {spec.sha256}: "
            "another version of the file? Fetch it again, or correct the card"
        )


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_content(path: Path) -> str:
    """Of what a gzip file unpacks to.

    Raises:
        CardError: it is not a whole gzip file.
    """
    try:
        with gzip.open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, EOFError) as error:
        raise CardError(f"{path} cannot be unpacked: {error}") from error

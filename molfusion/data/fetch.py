"""Download what a card names. https only; sizes are capped; nothing is kept, or opened, before its checksum fits."""

from __future__ import annotations

import gzip
import hashlib
import tarfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import IO, Any

from molfusion.data import hub
from molfusion.data.card import Card
from molfusion.data.files import CardError, FileSpec, cached, locate, sha256, verify
from molfusion.paths import atomic

LIMIT = 8 << 30  # bytes, of a download and of what it unpacks to
_CHUNK = 1 << 20
Opener = Callable[[str], IO[bytes]]


@dataclass(frozen=True)
class Fetched:
    """One file of a card: where it is, whether it was there before, and its sha256 (a hub's: the commit)."""

    split: str
    path: Path
    new: bool
    sha256: str


def fetch(card: Card, unchecked: bool = False, opener: Opener | None = None, limit: int = LIMIT) -> list[Fetched]:
    """Download every file of the card that is not here yet.

    Args:
        card: whose files.
        unchecked: also files for which the card names no sha256.
        opener: of a url; by default over https.
        limit: bytes.

    Raises:
        CardError: a plain http url, no checksum, another checksum, too large, unreachable, or a file given by path alone.
    """
    return [_one(card, split, spec, unchecked, opener or open_https, limit) for split, spec in card.files.items()]


def _one(card: Card, split: str, spec: FileSpec, unchecked: bool, opener: Opener, limit: int) -> Fetched:
    try:
        if spec.hub is not None:
            commit, paths = hub.fetch(spec)
            return Fetched(split, paths[0], True, commit)
        (path,) = locate(spec, Path(card.folder))
        if path.is_file():
            verify(path, spec)
            return Fetched(split, path, False, spec.sha256 or sha256(path))
        if spec.url is None:
            raise CardError(f"{path} is not there, and the card has no url for it: give the folder it is in with --root")
        if not spec.sha256 and not unchecked:
            raise CardError(
                f"the card names no sha256 for {spec.url}: --unchecked downloads it all the same and prints the "
                "sha256 to put into the card"
            )
        return Fetched(split, cached(spec), True, _download(spec, opener, limit))
    except CardError as error:
        raise CardError(f"card {card.name}: file {split}: {error}") from error


def _download(spec: FileSpec, opener: Opener, limit: int) -> str:
    url, target = str(spec.url), cached(spec)
    if not url.startswith("https://"):
        raise CardError(f"{url} is not https")
    with atomic(target.with_name("archive") if spec.member else target) as temporary:
        found = _stream(url, opener, temporary, limit)
        if spec.sha256 and found != spec.sha256:
            raise CardError(f"{url} has sha256 {found}, the card says {spec.sha256}: it changed, or was tampered with; not kept")
        if spec.member:
            with atomic(target) as unpacked:
                _extract(temporary, spec.member, unpacked, limit)
        elif target.suffix == ".gz":
            _measure(temporary, limit)
    if spec.member:
        target.with_name("archive").unlink()
    return found


def _stream(url: str, opener: Opener, path: Path, limit: int) -> str:
    digest = hashlib.sha256()
    size = 0
    try:
        with opener(url) as source, path.open("wb") as sink:
            while chunk := source.read(_CHUNK):
                size += len(chunk)
                if size > limit:
                    raise CardError(f"{url} is larger than {limit:,} bytes: not kept")
                digest.update(chunk)
                sink.write(chunk)
    except (OSError, urllib.error.URLError) as error:
        raise CardError(
            f"{url} cannot be downloaded ({getattr(error, 'reason', error)}): on a machine without the internet, copy the "
            "file here and give its folder with --root"
        ) from error
    return digest.hexdigest()


def _extract(archive: Path, member: str, target: Path, limit: int) -> None:
    """Write one member, by its exact name, to a path that is ours."""
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as box, box.open(member) as source:
                _copy(source, target, limit)
        else:
            with tarfile.open(archive) as tar:
                found = tar.extractfile(member)
                if found is None:
                    raise CardError(f"member {member!r} of the archive is not a file")
                _copy(found, target, limit)
    except KeyError:
        raise CardError(f"the archive has no member {member!r}") from None
    except (zipfile.BadZipFile, tarfile.TarError) as error:
        raise CardError(f"the archive cannot be read: {error}") from error


def _measure(path: Path, limit: int) -> None:
    """Unpack a gzip file into nothing, to know that it is whole and not a bomb."""
    try:
        with gzip.open(path, "rb") as source:
            size = 0
            while chunk := source.read(_CHUNK):
                size += len(chunk)
                if size > limit:
                    raise CardError(f"it unpacks to more than {limit:,} bytes: not kept")
    except (gzip.BadGzipFile, EOFError) as error:
        raise CardError(f"it is not a whole gzip file: {error}") from error


def _copy(source: IO[bytes], target: Path, limit: int) -> None:
    size = 0
    with target.open("wb") as sink:
        while chunk := source.read(_CHUNK):
            size += len(chunk)
            if size > limit:
                raise CardError(f"it unpacks to more than {limit:,} bytes: not kept")
            sink.write(chunk)


class HttpsOnly(urllib.request.HTTPRedirectHandler):
    """Follows a redirect to https, and refuses any other."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> urllib.request.Request | None:
        if not newurl.startswith("https://"):
            raise CardError(f"{req.full_url} redirects to {newurl}, which is not https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]


def open_https(url: str) -> Any:
    """The response, a binary stream."""
    request = urllib.request.Request(url, headers={"User-Agent": "molfusion"})
    return urllib.request.build_opener(HttpsOnly).open(request, timeout=60)

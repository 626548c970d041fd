"""A data card: where a dataset's bytes come from, what its columns mean, who is in which split."""

from __future__ import annotations

import difflib
import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import ConfigKeyError, OmegaConfBaseException

from molfusion.batch import Target
from molfusion.errors import MolfusionError
from molfusion.paths import cache_folder, package_path, shipped


class CardError(MolfusionError):
    """A card, or the data it names, is not as it should be: what was found, what was expected, what to do."""


@dataclass
class FileSpec:
    """One source file: `path` (relative to the card, or `package://…`) or `url`."""

    path: str | None = None
    url: str | None = None
    sha256: str | None = None
    rows: int | None = None


@dataclass
class TargetSpec:
    column: str = "???"
    name: str = ""
    unit: str = ""
    kind: str = "regression"
    scale: float = 1.0  # multiplies the column, to bring it to `unit`


@dataclass
class SplitSpec:
    """`by: file` (the names under `files`), `column`, `scaffold` or `random`; `holdout` carves val or test out of train."""

    by: str = "file"
    column: str | None = None
    fractions: list[float] = field(default_factory=lambda: [0.8, 0.1, 0.1])
    seed: int = 0
    holdout: dict[str, float] = field(default_factory=dict)


@dataclass
class DropSpec:
    max_heavy_atoms: int | None = None
    duplicates: str = "none"  # none | inchikey: drop a molecule (and geometry) that came before


@dataclass
class Card:
    """Every field has one reader; an unknown key is an error."""

    name: str = "???"
    title: str = ""
    licence: str = "???"
    cite: str = ""
    files: dict[str, FileSpec] = field(default_factory=dict)
    format: str = "table"  # a function in data/readers.py
    columns: dict[str, str] = field(default_factory=dict)
    targets: list[TargetSpec] = field(default_factory=list)
    split: SplitSpec = field(default_factory=SplitSpec)
    drop: DropSpec = field(default_factory=DropSpec)
    scopes: dict[str, str] = field(default_factory=dict)  # fact tag -> pool kind ("" = none), for retrieval
    caveats: str = ""
    folder: str = "."  # where relative paths start; set when the card is read

    def target_list(self) -> tuple[Target, ...]:
        return tuple(Target(t.name or t.column, t.unit, t.kind) for t in self.targets)  # type: ignore[arg-type]

    def path_of(self, split: str) -> Path:
        """The file of one split, checked.

        Raises:
            CardError: it is not there, is empty, or its checksum differs.
        """
        spec = self.files[split]
        path = _resolve(spec, Path(self.folder))
        if not path.is_file():
            fetch = f"; `molfusion cards fetch {self.name}` downloads it" if spec.url else ""
            raise CardError(f"card {self.name}: no file {path} for split {split!r}{fetch}")
        if path.stat().st_size == 0:
            raise CardError(f"card {self.name}: {path} is empty")
        if spec.sha256 and (found := sha256(path)) != spec.sha256:
            raise CardError(
                f"card {self.name}: {path} has sha256 {found}, the card says {spec.sha256}: "
                "another version of the file? Fetch it again, or correct the card"
            )
        return path

    def digest(self) -> str:
        """Of the card's content and of the bytes of every file it names."""
        text = OmegaConf.to_yaml(OmegaConf.structured({**vars(self), "folder": ""}))
        digest = hashlib.sha256(text.encode())
        for split in self.files:
            digest.update(sha256(self.path_of(split)).encode())
        return digest.hexdigest()


def load_card(name: str, root: str | None = None) -> Card:
    """The card `name`: a path to a YAML file, or the name of one that ships with molfusion.

    Args:
        name: `demo`, or `path/to/card.yaml`.
        root: the folder its relative paths start from, if not the card's own.

    Raises:
        CardError: no such card, not YAML, an unknown or missing key, a wrong type.
    """
    path = Path(name)
    if path.suffix not in {".yaml", ".yml"}:
        path = shipped("data_cards") / f"{name}.yaml"
    if not path.is_file():
        known = sorted(p.stem for p in shipped("data_cards").glob("*.yaml"))
        near = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"shipped cards: {', '.join(known)}"
        raise CardError(f"no data card {name!r}; {hint} (or give the path of a YAML file)")
    try:
        given = OmegaConf.load(path)
    except Exception as error:
        raise CardError(f"{path}: not valid YAML: {error}") from error
    try:
        merged = OmegaConf.merge(OmegaConf.structured(Card), given)
        card: Any = OmegaConf.to_object(merged)
    except ConfigKeyError as error:
        raise CardError(f"{path}: {_unknown_key(error)}") from error
    except OmegaConfBaseException as error:
        raise CardError(f"{path}: {error.full_key or ''}: {error.msg}".replace("\n", " ")) from error
    card.folder = str(Path(root) if root else path.parent)
    return _checked(card, path)


def _unknown_key(error: ConfigKeyError) -> str:
    owner = error.object_type if isinstance(error.object_type, type) else Card
    known = list(getattr(owner, "__dataclass_fields__", {}))
    near = difflib.get_close_matches(str(error.key), known, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
    return f"unknown key {error.full_key!r}; {hint}"


_SPLITS = ("train", "val", "test")
_BY = ("file", "column", "scaffold", "random")


def _checked(card: Card, path: Path) -> Card:
    if not card.files:
        raise CardError(f"{path}: `files` is empty: name at least one, such as `train: {{path: data.csv}}`")
    if card.split.by not in _BY:
        raise CardError(f"{path}: split.by is {card.split.by!r}, expected one of {', '.join(_BY)}")
    if card.split.by == "file" and (odd := [s for s in card.files if s not in _SPLITS]):
        raise CardError(f"{path}: split.by is `file`, but {odd[0]!r} is none of {', '.join(_SPLITS)}")
    if card.split.by == "column" and not card.split.column:
        raise CardError(f"{path}: split.by is `column`: name it in split.column")
    if len(card.split.fractions) != 3 or abs(sum(card.split.fractions) - 1) > 1e-6:
        raise CardError(f"{path}: split.fractions are {card.split.fractions}, expected three that sum to 1")
    for target in card.targets:
        if target.kind not in {"regression", "classification"}:
            raise CardError(f"{path}: target {target.column}: kind {target.kind!r} is neither regression nor classification")
    return card


def _resolve(spec: FileSpec, folder: Path) -> Path:
    if spec.path is None:
        if spec.url is None:
            raise CardError("a file needs a `path` or a `url`")
        return cache_folder() / "files" / (spec.sha256 or "unchecked") / spec.url.rsplit("/", 1)[-1]
    if spec.path.startswith("package://"):
        try:
            return package_path(spec.path)
        except FileNotFoundError as error:
            raise CardError(str(error)) from error
    path = Path(spec.path).expanduser()
    return path if path.is_absolute() else folder / path


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

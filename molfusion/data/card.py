"""A data card: where a dataset's bytes come from, what its columns mean, who is in which split."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import ConfigKeyError, OmegaConfBaseException

from molfusion.batch import Target
from molfusion.data.files import CardError, FileSpec, locate, sha256, verify
from molfusion.paths import shipped

__all__ = ["Card", "CardError", "FileSpec", "load_card", "sha256", "shipped_cards"]


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
    molecules: FileSpec | None = None  # of instruction data: the table of the molecules asked about
    columns: dict[str, str] = field(default_factory=dict)
    targets: list[TargetSpec] = field(default_factory=list)
    split: SplitSpec = field(default_factory=SplitSpec)
    drop: DropSpec = field(default_factory=DropSpec)
    scopes: dict[str, str] = field(default_factory=dict)  # fact tag -> pool kind ("" = none), for retrieval
    caveats: str = ""
    unfit_for_text: str = ""  # why no model may be trained or scored on its texts; "" = it may
    folder: str = "."  # where relative paths start; set when the card is read

    def target_list(self) -> tuple[Target, ...]:
        return tuple(Target(t.name or t.column, t.unit, t.kind) for t in self.targets)  # type: ignore[arg-type]

    def path_of(self, split: str) -> Path:
        """The (first) file of one split, checked; see `paths_of`."""
        return self.paths_of(split)[0]

    def paths_of(self, split: str) -> list[Path]:
        """The files of one split, checked; more than one only where a `hub` pattern names several.

        Raises:
            CardError: it is not there, is empty, or its checksum differs.
        """
        return self._found(split, self.files[split])

    def molecules_path(self) -> Path:
        """The table of molecules, checked as `paths_of` does."""
        if self.molecules is None:
            raise CardError(f"card {self.name} has no `molecules`")
        return self._found("molecules", self.molecules)[0]

    def _found(self, split: str, spec: FileSpec) -> list[Path]:
        try:
            paths = locate(spec, Path(self.folder))
            for path in paths:
                if not path.is_file():
                    fetch = f"; `molfusion cards fetch {self.name}` downloads it" if spec.url else ""
                    raise CardError(f"no file {path} for split {split!r}{fetch}")
                verify(path, spec)
        except CardError as error:
            raise CardError(f"card {self.name}: {error}") from error
        return paths

    def present(self) -> list[str]:
        """The names under `files` to read: all but optional ones that are not here."""
        return [name for name, spec in self.files.items() if not spec.optional or self._is_here(spec)]

    def _is_here(self, spec: FileSpec) -> bool:
        try:
            return all(path.is_file() for path in locate(spec, Path(self.folder)))
        except CardError:
            return False

    def digest(self) -> str:
        """Of the card's content and of the bytes of every file it names."""
        text = OmegaConf.to_yaml(OmegaConf.structured({**vars(self), "folder": ""}))
        digest = hashlib.sha256(text.encode())
        for split in self.present():
            for path in self.paths_of(split):
                digest.update(sha256(path).encode())
        if self.molecules is not None:
            digest.update(sha256(self.molecules_path()).encode())
        return digest.hexdigest()


def shipped_cards() -> dict[str, Path]:
    """Name -> file of every data card that ships: `demo`, `moleculenet/bbbp`."""
    root = shipped("data_cards")
    paths = [*sorted(root.glob("*.yaml")), *sorted((root / "moleculenet").glob("*.yaml"))]
    return {path.relative_to(root).with_suffix("").as_posix(): path for path in paths}


def load_card(name: str, root: str | None = None, targets: Sequence[str] | None = None) -> Card:
    """The card `name`: a path to a YAML file, the name of one that ships with molfusion, or a plain file of molecules.

    Args:
        name: `demo`, `moleculenet/bbbp` (or `bbbp`), `path/to/card.yaml`, or `path/to/molecules.csv` (see guess.py).
        root: the folder its relative paths start from, if not the card's own; or a folder with one of the card's name in it,
            so that several cards have one root.
        targets: of a plain file, the columns that are measured.

    Raises:
        CardError: no such card, not YAML, an unknown or missing key, a wrong type.
    """
    path = Path(name)
    if path.suffix not in {".yaml", ".yml"}:
        cards = shipped_cards()
        path = cards.get(name) or next((p for p in cards.values() if p.stem == name), path)
        path = Path(root) / path if root and not path.is_file() else path
    if not path.is_file():
        known = list(shipped_cards())
        near = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"shipped cards: {', '.join(known)}"
        raise CardError(f"no data card {name!r}; {hint} (or give the path of a YAML file, or of a table of molecules)")
    if path.suffix not in {".yaml", ".yml"}:
        from molfusion.data.guess import FORMATS, card_of, plain_format

        if plain_format(path) is None:
            raise CardError(f"{path} is neither a card (.yaml) nor a table of molecules ({', '.join(FORMATS)})")
        return card_of(path, targets or ())
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
    card.folder = str(_folder(Path(root), card.name) if root else path.parent)
    return _checked(card, path)


def _folder(root: Path, name: str) -> Path:
    return root / name if (root / name).is_dir() else root


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

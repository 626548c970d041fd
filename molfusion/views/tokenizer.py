"""Tokenizers by hub name, folder, file or installed package, all as `tokenizers.Tokenizer`."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from tokenizers import Tokenizer
from tokenizers.implementations.bert_wordpiece import BertWordPieceTokenizer

from molfusion.errors import NotFound, first_line
from molfusion.paths import atomic, cache_folder, package_path
from molfusion.views.sentencepiece import read_sentencepiece

# The WordPiece vocabulary that ships with the demo data; needs nothing downloaded.
EMBEDDED = "molfusion"


def locate(name: str) -> str:
    """Where `name` leads: `molfusion` and `package://module/folder` become folders, all else stays as it is.

    Raises:
        NotFound: the package is not installed, or has no such folder.
    """
    if name == EMBEDDED:
        name = "package://molfusion/demo"
    return str(package_path(name)) if name.startswith("package://") else name


@lru_cache(maxsize=8)
def load_tokenizer(name: str) -> Tokenizer:
    """The tokenizer `name`: a hub name, a folder with tokenizer.json, vocab.txt or tokenizer.model, a .gguf file,
    `package://…`, or `molfusion`.

    Raises:
        NotFound: nothing there can be read as a tokenizer.
    """
    folder = Path(locate(name))
    if (folder / "tokenizer.json").is_file():
        return _ready(Tokenizer.from_file(str(folder / "tokenizer.json")))
    if (folder / "vocab.txt").is_file():
        lowercase = "cased" not in folder.name or "uncased" in folder.name
        return _ready(BertWordPieceTokenizer(str(folder / "vocab.txt"), lowercase=lowercase)._tokenizer)
    if (folder / "tokenizer.model").is_file():
        return _ready(read_sentencepiece(folder / "tokenizer.model"))
    if folder.suffix == ".gguf" and folder.is_file():
        return _ready(_of_gguf(folder))
    if folder.exists():
        raise NotFound(f"{folder}: neither tokenizer.json nor vocab.txt nor tokenizer.model there")
    from transformers import AutoTokenizer

    try:
        return _ready(AutoTokenizer.from_pretrained(name, trust_remote_code=False).backend_tokenizer)
    except (OSError, ValueError) as error:
        raise NotFound(f"tokenizer {name!r}: no such folder, and not to be had from the hub ({first_line(error)})") from error


def _of_gguf(file: Path) -> Tokenizer:
    """The tokenizer inside a .gguf file; kept as JSON, because taking it out takes half a minute."""
    kept = cache_folder() / "tokenizers" / f"{file.stem}-{file.stat().st_size}.json"
    if not kept.is_file():
        from transformers import AutoTokenizer

        made = AutoTokenizer.from_pretrained(str(file.parent), gguf_file=file.name).backend_tokenizer
        with atomic(kept) as path:
            made.save(str(path))
    return Tokenizer.from_file(str(kept))


def _ready(tokenizer: Tokenizer) -> Tokenizer:
    """Truncation and padding are the view's business."""
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer

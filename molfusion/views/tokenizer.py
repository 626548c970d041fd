"""Tokenizers by hub name, folder, file or installed package, all as `tokenizers.Tokenizer`."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from tokenizers import Tokenizer
from tokenizers.implementations.bert_wordpiece import BertWordPieceTokenizer

from molfusion.paths import package_path

# The WordPiece vocabulary that ships with the demo data; needs nothing downloaded.
EMBEDDED = "molfusion"


def locate(name: str) -> str:
    """Where `name` leads: `molfusion` and `package://module/folder` become folders, all else stays as it is.

    Raises:
        FileNotFoundError: the package is not installed, or has no such folder.
    """
    if name == EMBEDDED:
        name = "package://molfusion/demo"
    return str(package_path(name)) if name.startswith("package://") else name


@lru_cache(maxsize=8)
def load_tokenizer(name: str) -> Tokenizer:
    """The tokenizer `name`: a hub name, a folder with tokenizer.json or vocab.txt, `package://…`, or `molfusion`.

    Raises:
        FileNotFoundError: nothing there can be read as a tokenizer.
    """
    folder = Path(locate(name))
    if (folder / "tokenizer.json").is_file():
        return _ready(Tokenizer.from_file(str(folder / "tokenizer.json")))
    if (folder / "vocab.txt").is_file():
        lowercase = "cased" not in folder.name or "uncased" in folder.name
        return _ready(BertWordPieceTokenizer(str(folder / "vocab.txt"), lowercase=lowercase)._tokenizer)
    if folder.exists():
        raise FileNotFoundError(f"{folder}: neither tokenizer.json nor vocab.txt there")
    from transformers import AutoTokenizer

    try:
        return _ready(AutoTokenizer.from_pretrained(name, trust_remote_code=False).backend_tokenizer)
    except (OSError, ValueError) as error:
        raise FileNotFoundError(f"tokenizer {name!r}: no such folder, and not to be had from the hub: {error}") from error


def _ready(tokenizer: Tokenizer) -> Tokenizer:
    """Truncation and padding are the view's business."""
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer

"""Synonyms by WordNet 3.0 for METEOR, from a table that ships (its licence beside it); nothing is downloaded.

It answers as nltk 3.8.1 over the original files does. Later nltk releases strip one ending of a word only, not as many
as lead to a known word. Words of several parts (`hot_dog`) are left out: no token of a caption is one.
"""

from __future__ import annotations

import gzip
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

KINDS = ("noun", "verb", "adj", "adv")
TABLE = Path(__file__).with_name("wordnet.txt.gz")
LICENCE = Path(__file__).with_name("wordnet.LICENCE.txt")

# Endings and what stands there in the base form: morphy(7WN), "Rules of Detachment".
_ENDINGS: dict[str, tuple[tuple[str, str], ...]] = {
    "noun": (
        ("s", ""), ("ses", "s"), ("ves", "f"), ("xes", "x"), ("zes", "z"), ("ches", "ch"), ("shes", "sh"),
        ("men", "man"), ("ies", "y"),
    ),
    "verb": (
        ("s", ""), ("ies", "y"), ("es", "e"), ("es", ""), ("ed", "e"), ("ed", ""), ("ing", "e"), ("ing", ""),
    ),
    "adj": (("er", ""), ("est", ""), ("er", "e"), ("est", "e")),
    "adv": (),
}  # fmt: skip


class Lemma(NamedTuple):
    """One member of a synonym set, with the interface that nltk's METEOR expects."""

    text: str

    def name(self) -> str:
        return self.text


class Synset(NamedTuple):
    """Words that can stand for each other."""

    words: tuple[str, ...]

    def lemmas(self) -> list[Lemma]:
        return [Lemma(word) for word in self.words]


class _Kind(NamedTuple):
    """The words of one part of speech."""

    synsets: dict[str, list[Synset]]  # a word in lower case -> the sets that it is in
    irregular: dict[str, list[str]]  # an inflected form -> its base forms


class WordNet:
    """What METEOR asks of WordNet."""

    @staticmethod
    def synsets(word: str) -> list[Synset]:
        """The synonym sets of a word or of its base forms, in any part of speech."""
        return list(_synsets(word.lower()))


@lru_cache(maxsize=1 << 16)
def _synsets(word: str) -> tuple[Synset, ...]:
    return tuple(s for kind in KINDS for base in _bases(word, kind) for s in _table()[kind].synsets[base])


def _bases(word: str, kind: str) -> list[str]:
    """The known words among a word and its base forms; endings are stripped until there is one."""
    known, irregular = _table()[kind]
    forms = irregular.get(word) or _stripped([word], kind)
    found = [form for form in dict.fromkeys([word, *forms]) if form in known]
    if word in irregular:
        return found
    while not found and forms:
        forms = _stripped(forms, kind)
        found = [form for form in dict.fromkeys(forms) if form in known]
    return found


def _stripped(forms: list[str], kind: str) -> list[str]:
    return [f[: -len(old)] + new for f in forms for old, new in _ENDINGS[kind] if f.endswith(old)]


@cache
def _table() -> dict[str, _Kind]:
    """The shipped table: a heading `= kind` before its synonym sets, `~ kind` before its irregular forms."""
    kinds = {kind: _Kind({}, {}) for kind in KINDS}
    heading, current = "", kinds["noun"]
    for line in gzip.decompress(TABLE.read_bytes()).decode("ascii").splitlines():
        words = line.split(" ")
        if words[0] in {"=", "~"}:
            heading, current = words[0], kinds[words[1]]
        elif heading == "=":
            synset = Synset(tuple(words))
            for word in dict.fromkeys(word.lower() for word in words):
                current.synsets.setdefault(word, []).append(synset)
        else:
            current.irregular[words[0]] = words[1:]
    return kinds

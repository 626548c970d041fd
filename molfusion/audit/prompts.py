"""The answer given away by the question: the answer's words in a prompt, the molecule spelled out in its text."""

from __future__ import annotations

import re
from collections import Counter

from molfusion.audit.subject import Finding, Subject, finding, share

_SHORT = 5  # a SMILES of fewer characters (CCO) may be in a text by chance
# A systematic name: locants with hyphens, and the ending of a class of compounds.
_NAME = re.compile(
    r"(?<![\w-])(?=\S*\d[\d,']*-)(?=\S*[a-z]{3})\S{12,}"
    r"(?:an|en|in|yn)?(?:e|ol|one|al|amine|amide|ate|ide|oate|yl|oic acid|carboxylic acid)(?![\w-])"
)


def prompts(subject: Subject) -> list[Finding]:
    """Prompts that hold the answer are an error where a model answers; a text that names its molecule is a note."""
    found: list[Finding] = []
    records = subject.records
    asked = [r for r in records if r.prompt]
    offered = Counter(word for r in asked for word in set(_words(r.prompt)))
    told = [r for r in asked if _answer_in(r.prompt, r.text, offered, len(asked))]
    if told:
        message = f"{share(len(told), len(asked))} prompts contain their answer"
        found.append(finding("error", message, [f"{r.id}: {r.prompt[:80]!r} -> {r.text[:40]!r}" for r in told]))
    if not any(r.text for r in records):
        return found
    spelled = [
        (r, key)
        for r, key in zip(records, subject.keys, strict=True)
        if r.text and (key in r.text or any(len(s) >= _SHORT and s in r.text.split() for s in (r.smiles, r.canonical)))
    ]
    if spelled:
        message = f"{share(len(spelled), len(records))} texts contain the SMILES or InChIKey of their molecule"
        found.append(finding("error", message, [f"{r.id}: {r.text[:100]}" for r, _ in spelled]))
    named = [(r, match.group()) for r in records if (match := _NAME.search(r.text))]
    if named:
        message = f"{share(len(named), len(records))} texts hold a systematic name: for text to molecule it may be the answer"
        found.append(finding("note", message, [f"{r.id}: {name}" for r, name in named]))
    return found


def _answer_in(prompt: str, answer: str, offered: Counter[str], asked: int) -> bool:
    """Whether the answer's words stand in the prompt in one piece, unless most prompts hold them (a list of choices)."""
    words = _words(answer)
    if not words or (asked > 1 and all(offered[w] > asked / 2 for w in words)):
        return False
    return f" {' '.join(words)} " in f" {' '.join(_words(prompt))} "


def _words(text: str) -> list[str]:
    return re.findall(r"[\w.+-]*\w", text.lower())

"""Make the table that METEOR reads: `python -m molfusion.metrics.wordnet_build FOLDER [OUT]`.

FOLDER holds WordNet 3.0 (`data.noun`, `noun.exc` …), such as /usr/share/wordnet of Debian's package `wordnet-base`.
Kept are the irregular forms, and the synonym sets without most of their many-worded members; the same bytes come out
each time.
"""

from __future__ import annotations

import gzip
import re
import sys
from collections.abc import Iterator, Set
from pathlib import Path

from molfusion.metrics.wordnet import KINDS, LICENCE, TABLE
from molfusion.paths import atomic


def irregular(path: Path) -> Iterator[str]:
    """One-worded inflected forms and their base forms, a line each."""
    return (line for line in _lines(path) if "_" not in line.split()[0])


def synonym_sets(path: Path, bases: Set[str]) -> Iterator[str]:
    """The members of each synonym set of a `data` file that are one word or in `bases` (format: wndb(5WN))."""
    for line in _lines(path):
        fields = line.split()
        names = (fields[4 + 2 * i] for i in range(int(fields[3], 16)))
        words = [re.sub(r"\((a|p|ip)\)$", "", name) for name in names if "_" not in name or name in bases]
        if words:  # in brackets: where an adjective may stand
            yield " ".join(words)


def licence(path: Path) -> str:
    """The notice at the head of a `data` file, which must go with every copy."""
    lines = (line for line in path.read_text(encoding="ascii").splitlines() if line.startswith("  "))
    return "\n".join(re.sub(r"^\s+\d+ ?", "", line).rstrip() for line in lines) + "\n"


def build(folder: Path, out: Path) -> None:
    """Write the table and its licence into the folder `out`."""
    lines: list[str] = []
    for kind in KINDS:
        forms = sorted(set(irregular(folder / f"{kind}.exc")))
        bases = {word for line in forms for word in line.split()[1:]}
        lines += [f"= {kind}", *sorted(set(synonym_sets(folder / f"data.{kind}", bases))), f"~ {kind}", *forms]
    text = "\n".join(lines) + "\n"
    with atomic(out / TABLE.name) as path:
        path.write_bytes(gzip.compress(text.encode("ascii"), 9, mtime=0))
    with atomic(out / LICENCE.name) as path:
        path.write_text(licence(folder / "data.noun"))


def _lines(path: Path) -> Iterator[str]:
    """Those of a file of WordNet, without the licence at its head."""
    return (line for line in path.read_text(encoding="ascii").splitlines() if line and not line.startswith("  "))


if __name__ == "__main__":
    build(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else TABLE.parent)

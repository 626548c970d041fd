"""Words of a caption that say which elements the molecule has."""

from __future__ import annotations

import re

# Word parts -> element. Each was read against real captions: a word that names a protein, a plant or a process, and not
# a part of the molecule (bromodomain, phosphatase, sodium channel), is left out by what surrounds it.
_PATTERNS = {
    "F": r"fluor(?!esc|en[ey]|anth|ene|ochrome|ophor|omet(?:r|er))",
    "Cl": r"chlor(?!ophyl|oplast|oform|ella|omethane solution|in\b|ins\b|ide (?:channel|ion|transport)|oquine-resist)",
    "Br": r"(?<!fi)brom(?!odomain|elain|us|eli)",
    "I": r"(?<!per)(?<!ant)iod(?:o|in|id)(?!s? deficien)",
    "S": r"\bthi(?:o|a[nz]|ol)|thiazol|thiadiaz|sulf|sulph|mercapto|(?<!seleno)(?:cystein|methionin)",
    "P": r"phosph(?!atas|odiest|oryla|olipa|okinas|oprotein|olipid|oinositide 3|ofructo|ate buffer|oglycer)",
    "N": r"\bamino|\bnitr(?:o(?!us)|ile)|alkaloid|\bpeptide|dipeptide|tripeptide|azole|pyridin|purin|indol|pyrimidin|"
    r"piperazin|quinolin|\bamide|\bamine",
    "Si": r"siloxan|silan[eo]|silyl",
    "B": r"\bboron|\bborane|borat|borin",
    "Se": r"\bselen",
    "As": r"\barsen|\barson|\barsin",
    "Na": r"\bis (?:a|an|the) (?:\w+ )?(?:di|tri|mono|tetra)?sodium salt",
    "K": r"\bis (?:a|an|the) (?:\w+ )?(?:di|tri|mono|tetra)?potassium salt",
    "Li": r"\bis (?:a|an|the) (?:\w+ )?lithium salt",
    "Ca": r"\bis (?:a|an|the) (?:\w+ )?calcium salt",
    "Hg": r"\bmercur[iy]",
    "Pt": r"\bplatin",
}
_CLAIMS = {element: re.compile(pattern, re.IGNORECASE) for element, pattern in _PATTERNS.items()}
# What follows tells of something the molecule acts upon or comes from, not of the molecule.
_ABOUT_OTHERS = re.compile(
    r"inhibitor|antagonist|agonist|blocker|modulator|receptor|channel|oxidase|reductase|synthase|kinase|transferase|"
    r"enzyme|EC \d|poisoning|without|lacking|absence|presence|free of|derives? from|functional(?:ly)? related|replace|"
    r"soluble|solvent|formulated|administered|available|such as|found in|used|form of|reacts?\b|react(?:ed|ion)|salt is",
    re.IGNORECASE,
)


def claims(text: str) -> dict[str, str]:
    """Element -> the words that say so, of every sentence that speaks of the molecule itself."""
    found: dict[str, str] = {}
    for sentence in re.split(r"(?<=[.;])\s+", text):
        if _ABOUT_OTHERS.search(sentence):
            continue
        for element, pattern in _CLAIMS.items():
            if element not in found and (match := pattern.search(sentence)):
                found[element] = sentence[max(0, match.start() - 25) : match.end() + 25].strip()
    return found

"""Sentences back to facts: the inverse of `sentences`, and what is true of a molecule in the same terms."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from molfusion.chem.parse import parse
from molfusion.demo.facts import GROUPS, facts_2d, facts_chi, facts_ez, named_rings
from molfusion.demo.sentences import NUMBERS


class Claim(NamedTuple):
    """The smallest thing that can be right or wrong: `(group, ester, 2)`, `(formula, , c9h8o4)`."""

    kind: str
    name: str
    value: str | float


class Reading(NamedTuple):
    """What a caption states."""

    claims: list[Claim]  # each once
    sentences: int
    unread: int  # of them, those that the generator would not write


def read(text: str) -> Reading:
    """The claims of a caption.

    Letter case, spaces around punctuation and a missing last full stop do not matter: a language model may differ there.
    """
    text = re.sub(r"(\d) ?\. ?(\d+)(?= angstrom)", r"\1.\2", text.lower())
    text = re.sub(r"\s+([.,)])", r"\1", re.sub(r"\(\s+", "(", re.sub(r"\s*-\s*", "-", text))).strip()
    found = [_read_sentence(s.rstrip(". ")) for s in re.split(r"(?<=\.)\s+", text) if s.strip(". ")]
    claims = dict.fromkeys(claim for claims in found for claim in claims)
    return Reading(list(claims), len(found), sum(not claims for claims in found))


def _read_sentence(sentence: str) -> list[Claim]:
    for pattern, claims in _SENTENCES:
        if match := pattern.fullmatch(sentence):
            try:
                return list(claims(*match.groups()))
            except ValueError:  # a number or a list that is none
                return []
    return []


def true_of(smiles: str) -> list[Claim]:
    """Every claim about composition, rings, groups and stereo that holds of a molecule.

    Raises:
        ChemError: it is no molecule.
    """
    mol = parse(smiles)
    facts = {**facts_2d(mol), **facts_ez(mol), **facts_chi(mol)}
    total, aromatic, _ = facts["rings"]
    polarity, donors, area = facts["polarity"]
    out = [*_formula(facts["formula"].lower()), *_flexibility(str(facts["flexibility"]))]
    out += [Claim("polarity", name, value) for name, value in (("", polarity), ("donors", donors), ("surface", area))]
    out += [Claim("rings", "all", total), Claim("rings", "aromatic", aromatic)]
    out += [Claim("rings", name, 1) for name in named_rings(mol)]
    out += [Claim("groups", name, count) for name, count in facts.get("groups", ())]
    out += [Claim("substitution", name, 1) for name in facts.get("substitution", ())]
    bonds = facts.get("double_bonds", ())
    out += [Claim("double_bonds", label, bonds.count(label.upper())) for label in "ez"]
    out += [Claim("stereocentres", label, n) for label, n in zip("rs", facts.get("stereocentres", (0, 0)), strict=True)]
    return out


def _number(word: str) -> int:
    return NUMBERS.index(word) if word in NUMBERS else int(word)


def _listed(text: str) -> list[str]:
    return re.split(r", | and ", text)


def _formula(value: str) -> Iterator[Claim]:
    yield Claim("formula", "", value)


def _groups(text: str) -> Iterator[Claim]:
    for part in _listed(text):
        count, _, name = part.partition(" ")
        known = name if name in GROUPS else name.removesuffix("s")
        if known not in GROUPS:
            raise ValueError(f"no group {name!r}")
        yield Claim("groups", known, _number(count))


def _rings(total: str, aromatic: str, named: str | None) -> Iterator[Claim]:
    yield Claim("rings", "all", _number(total))
    yield Claim("rings", "aromatic", 0 if aromatic == "none" else _number(aromatic))
    for name in _listed(named) if named else []:
        yield Claim("rings", name, 1)


def _acyclic() -> Iterator[Claim]:
    return _rings("no", "none", None)


def _substitution(text: str) -> Iterator[Claim]:
    return (Claim("substitution", name, 1) for name in _listed(text))


def _polarity(kind: str, donors: str, area: str) -> Iterator[Claim]:
    yield Claim("polarity", "", kind)
    yield Claim("polarity", "donors", _number(donors))
    yield Claim("polarity", "surface", int(area))


def _flexibility(count: str) -> Iterator[Claim]:
    yield Claim("flexibility", "", _number(count))


def _angstrom(kind: str) -> Callable[[str], Iterator[Claim]]:
    return lambda text: iter([Claim(kind, "", float(text))])


def _word(kind: str) -> Callable[[str], Iterator[Claim]]:
    return lambda text: iter([Claim(kind, "", text)])


def _flat(sentence: str) -> Iterator[Claim]:
    yield Claim("planarity", "", _PLANARITY[sentence])


def _contact(first: str, second: str, distance: str) -> Iterator[Claim]:
    yield Claim("contact", f"{first}, {second}", float(distance))


def _double_bonds(text: str) -> Iterator[Claim]:
    labels = _listed(text)
    return (Claim("double_bonds", label, labels.count(label)) for label in "ez")


def _centre(label: str) -> Iterator[Claim]:
    yield from (Claim("stereocentres", one, int(one == label)) for one in "rs")


def _centres(text: str) -> Iterator[Claim]:
    counts = {part.split()[-1]: _number(part.split()[0]) for part in _listed(text)}
    return (Claim("stereocentres", label, counts.get(label, 0)) for label in "rs")


_PLANARITY = {
    "the heavy atoms are nearly coplanar": "coplanar", "it is almost flat": "coplanar",
    "the heavy atoms are moderately non-planar": "non-planar", "it leaves the plane in part": "non-planar",
    "the heavy atoms are far from a common plane": "bulky", "it is bulky rather than flat": "bulky",
}  # fmt: skip
_KIND = "hydrophilic|moderately lipophilic|strongly lipophilic"

_SENTENCES: list[tuple[re.Pattern[str], Callable[..., Iterator[Claim]]]] = [
    (re.compile(pattern), claims)
    for pattern, claims in (
        (r"(?:its molecular formula is|it has the composition|the formula reads) (\S+)", _formula),
        (r"(?:it is acyclic|there is no ring in the skeleton)", _acyclic),
        (r"it has (\w+) rings?, (\w+) of them aromatic(?:, including (.+))?", _rings),
        (r"the skeleton holds (\w+) rings? \((\w+) aromatic\)(?:, including (.+))?", _rings),
        (r"(?:it carries|among its functional groups are|it contains) (.+)", _groups),
        (r"a six-membered aromatic ring is substituted in (.+) position", _substitution),
        (
            rf"it is ({_KIND}), with (\w+) hydrogen-bond donors? and a polar surface of about (\d+) square angstrom",
            _polarity,
        ),
        (
            rf"with (\w+) hydrogen-bond donors? and about (\d+) square angstrom of polar surface, it is ({_KIND})",
            lambda donors, area, kind: _polarity(kind, donors, area),
        ),
        (r"it has (\w+) rotatable bonds?", _flexibility),
        (r"(\w+) bonds? can rotate freely", _flexibility),
        (r"(?:the conformer is shaped like a|in space it comes close to a) (rod|disc|sphere)", _word("shape")),
        (r"(?:the radius of gyration is|its radius of gyration measures) (\S+) angstrom", _angstrom("gyration")),
        (r"the two most distant heavy atoms are (\S+) angstrom apart", _angstrom("span")),
        (r"it spans (\S+) angstrom", _angstrom("span")),
        (r"(?:the chain|overall the molecule) is (extended|bent|folded)", _word("fold")),
        (rf"({'|'.join(_PLANARITY)})", _flat),
        (r"the double bond geometry is (.+)", _double_bonds),
        (r"the stereocentre has the ([rs]) configuration", _centre),
        (r"its only stereocentre is ([rs])", _centre),
        (r"of the stereocentres, (.+)", _centres),
        (r"its stereocentres are (.+)", _centres),
        (r"the (.+) and the (.+) are (\S+) angstrom apart", _contact),
    )
]

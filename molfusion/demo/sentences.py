"""Facts to sentences, by seeded templates of our own."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from molfusion.batch import Fact
from molfusion.demo.facts import Facts

NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def tell(tag: str, facts: Facts, rng: random.Random) -> list[Fact]:
    """One sentence a fact."""
    return [Fact(tag, kind, rng.choice(_WAYS[kind](value))) for kind, value in facts.items()]


def _number(n: int) -> str:
    return NUMBERS[n] if n < len(NUMBERS) else str(n)


def _many(noun: str, n: int) -> str:
    return f"{_number(n)} {noun}" + ("" if n == 1 else "s")


def _list(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _formula(value: str) -> list[str]:
    return [f"Its molecular formula is {value}.", f"It has the composition {value}.", f"The formula reads {value}."]


def _groups(value: tuple[tuple[str, int], ...]) -> list[str]:
    listed = _list([_many(name, count) for name, count in value])
    return [f"It carries {listed}.", f"Among its functional groups are {listed}.", f"It contains {listed}."]


def _rings(value: tuple[int, int, tuple[str, ...]]) -> list[str]:
    total, aromatic, names = value
    if not total:
        return ["It is acyclic.", "There is no ring in the skeleton."]
    some = _number(aromatic) if aromatic else "none"
    which = f", including {_list(list(names))}" if names else ""
    return [
        f"It has {_many('ring', total)}, {some} of them aromatic{which}.",
        f"The skeleton holds {_many('ring', total)} ({some} aromatic){which}.",
    ]


def _substitution(value: tuple[str, ...]) -> list[str]:
    return [f"A six-membered aromatic ring is substituted in {_list(list(value))} position."]


def _polarity(value: tuple[str, int, int]) -> list[str]:
    kind, donors, area = value
    with_donors = _many("hydrogen-bond donor", donors)
    return [
        f"It is {kind}, with {with_donors} and a polar surface of about {area} square angstrom.",
        f"With {with_donors} and about {area} square angstrom of polar surface, it is {kind}.",
    ]


def _flexibility(n: int) -> list[str]:
    return [f"It has {_many('rotatable bond', n)}.", f"{_many('bond', n).capitalize()} can rotate freely."]


def _shape(value: str) -> list[str]:
    return [f"The conformer is shaped like a {value}.", f"In space it comes close to a {value}."]


def _gyration(value: float) -> list[str]:
    return [f"The radius of gyration is {value:.1f} angstrom.", f"Its radius of gyration measures {value:.1f} angstrom."]


def _span(value: float) -> list[str]:
    return [f"The two most distant heavy atoms are {value:.1f} angstrom apart.", f"It spans {value:.1f} angstrom."]


def _fold(value: str) -> list[str]:
    return [f"The chain is {value}.", f"Overall the molecule is {value}."]


def _planarity(value: str) -> list[str]:
    return {
        "coplanar": ["The heavy atoms are nearly coplanar.", "It is almost flat."],
        "non-planar": ["The heavy atoms are moderately non-planar.", "It leaves the plane in part."],
        "bulky": ["The heavy atoms are far from a common plane.", "It is bulky rather than flat."],
    }[value]


def _contact(value: tuple[str, str, float]) -> list[str]:
    first, second, distance = value
    return [f"The {first} and the {second} are {distance:.1f} angstrom apart."]


def _double_bonds(value: tuple[str, ...]) -> list[str]:
    return [f"The double bond geometry is {_list(list(value))}."]


def _stereocentres(value: tuple[int, int]) -> list[str]:
    right, left = value
    if right + left == 1:
        label = "R" if right else "S"
        return [f"The stereocentre has the {label} configuration.", f"Its only stereocentre is {label}."]
    found = [(_number(n), "is" if n == 1 else "are", label) for n, label in ((right, "R"), (left, "S")) if n]
    told = _list([f"{n} {verb} {label}" for n, verb, label in found])
    listed = _list([f"{n} {label}" for n, _, label in found])
    return [f"Of the stereocentres, {told}.", f"Its stereocentres are {listed}."]


_WAYS: dict[str, Callable[[Any], list[str]]] = {
    "formula": _formula,
    "groups": _groups,
    "rings": _rings,
    "substitution": _substitution,
    "polarity": _polarity,
    "flexibility": _flexibility,
    "shape": _shape,
    "gyration": _gyration,
    "span": _span,
    "fold": _fold,
    "planarity": _planarity,
    "contact": _contact,
    "double_bonds": _double_bonds,
    "stereocentres": _stereocentres,
}

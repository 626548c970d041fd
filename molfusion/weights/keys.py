"""Renaming the keys of a state dict by rules, and an account of every key."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from torch import Tensor


class Rule(NamedTuple):
    """A whole published key as a pattern, and ours (None: known, and not needed)."""

    pattern: str
    ours: str | None
    squeeze: bool = False  # drop axes of length 1 (published tables of one row)


@dataclass
class Converted:
    """The state under our names, and what became of every published key."""

    state: dict[str, Tensor] = field(default_factory=dict)
    renamed: dict[str, str] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)


def convert(published: dict[str, Tensor], rules: Sequence[Rule], source: str) -> Converted:
    """Apply the first rule that matches each key.

    Raises:
        ValueError: a key that no rule knows, or two keys for one of ours: this is another checkpoint than we think.
    """
    out = Converted()
    unknown = []
    for key, value in published.items():
        rule = next((r for r in rules if re.fullmatch(r.pattern, key)), None)
        if rule is None:
            unknown.append(key)
        elif rule.ours is None:
            out.left_out.append(key)
        else:
            ours = re.sub(rule.pattern, rule.ours, key)
            if ours in out.state:
                raise ValueError(f"{source}: two keys lead to {ours!r}, the second is {key!r}")
            out.state[ours] = value.squeeze() if rule.squeeze else value
            out.renamed[key] = ours
    if unknown:
        raise ValueError(f"{source}: {len(unknown)} unknown keys, such as {', '.join(sorted(unknown)[:4])}")
    return out


def under(rules: Sequence[Rule], published: str, ours: str) -> list[Rule]:
    """The same rules for a part that stands under a prefix (`published` as a pattern)."""
    return [
        Rule(published + r.pattern, None if r.ours is None else ours + r.ours, r.squeeze) for r in rules
    ]

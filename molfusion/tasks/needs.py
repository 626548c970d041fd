"""What a question needs of a card, and what is said of a card that lacks it."""

from __future__ import annotations

from typing import Literal

Needs = Literal["", "texts", "numbers"]


def lacking(needs: Needs, task: str, card: str, texts: bool, numbers: bool) -> str:
    """Why a task cannot be asked of a card's molecules, and what to do; "" if it can.

    Args:
        needs: what the task needs.
        task: its name.
        card: the card's name.
        texts: whether any training molecule has one.
        numbers: whether the card names targets.
    """
    if needs == "texts" and not texts:
        return f"card {card} has no texts for {task}: name their column in its YAML (`columns: {{text: …}}`)"
    if needs == "numbers" and not numbers:
        return f"card {card} has no targets for {task}: name their columns in its YAML (`targets: [{{column: …}}]`)"
    return ""

"""What generated texts must beat: another molecule's text, and for some questions a calculator.

Each question is answered with the answer that a training molecule has to a question for the same thing; a caption with
a training caption. Rows and metrics are those of `Captioning`.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from molfusion.batch import Record
from molfusion.chem.calculated import CALCULATED, calculate
from molfusion.chem.parse import parse
from molfusion.chem.similarity import fingerprint, tanimoto
from molfusion.config import ConfigError
from molfusion.data.datamodule import MoleculeData
from molfusion.data.instruct import number
from molfusion.metrics import numeric
from molfusion.tasks.answers import Answer, Answers, property_of

if TYPE_CHECKING:
    from molfusion.tasks.captioning import Captioning

Result = tuple[dict[str, float], list[dict[str, Any]]]
Say = Callable[[Record], str | None]
_SEED = 0


def nearest(data: MoleculeData, task: Captioning | None = None) -> Result:
    """The text of the training molecule with the most similar Morgan fingerprint (Tanimoto, radius 2, 2048 bits)."""
    known = _Known(data.records["train"])

    def say(record: Record) -> str | None:
        others = known.to(record)
        alike = tanimoto(_print(record.smiles), [_print(r.smiles) for r in others])
        return others[max(range(len(alike)), key=alike.__getitem__)].text if others else None

    return _told(data, say, task)


def drawn(data: MoleculeData, task: Captioning | None = None) -> Result:
    """The text of a training molecule drawn at random."""
    known = _Known(data.records["train"])

    def say(record: Record) -> str | None:
        others = known.to(record)
        return random.Random(f"{_SEED}|{record.id}").choice(others).text if others else None

    return _told(data, say, task)


def mean(data: MoleculeData, task: Captioning | None = None) -> Result:
    """The mean right answer in training to every question for a number; others stay without an answer.

    Raises:
        ConfigError: no question is for a number.
    """
    known = [(r.text, name) for r in data.records["train"] if (name := property_of(r.text))]
    if not known:
        raise ConfigError(f"no question of card {data.card.name} is for a number")
    means = numeric.means(*zip(*known, strict=True))

    def say(record: Record) -> str | None:
        name = property_of(record.text)
        return number(name, means[name], "", 4) if name in means else None

    return _told(data, say, task)


def calculator(data: MoleculeData, task: Captioning | None = None) -> Result:
    """RDKit's answers to questions for what it computes; other questions stay without one.

    Raises:
        ConfigError: there are no such questions.
    """
    if not {property_of(r.text) for split in ("val", "test") for r in data.records[split]} & CALCULATED.keys():
        raise ConfigError(f"no question of card {data.card.name} is for what RDKit computes: {', '.join(CALCULATED)}")

    def say(record: Record) -> str | None:
        name = property_of(record.text)
        return number(name, calculate(name, record.smiles), CALCULATED[name].unit, 2) if name in CALCULATED else None

    return _told(data, say, task)


class _Known:
    """Training records by what they answer: the name of a number, or else the question."""

    def __init__(self, records: Sequence[Record]) -> None:
        self.words: list[Record] = []
        self.by_kind: dict[str, list[Record]] = {}
        for record in records:
            if record.text.strip():
                name = property_of(record.text)
                self.by_kind.setdefault(name or f"? {record.prompt}", []).append(record)
                if name is None:
                    self.words.append(record)

    def to(self, record: Record) -> list[Record]:
        """Those that were asked the same; of a question in words that training does not know, all in words."""
        name = property_of(record.text)
        return self.by_kind.get(name or f"? {record.prompt}", self.words if name is None else [])


@lru_cache(maxsize=1 << 18)
def _print(smiles: str) -> Any:
    return fingerprint(parse(smiles), "morgan2")


def _told(data: MoleculeData, say: Say, task: Captioning | None) -> Result:
    """What `Captioning` makes of such answers; there is no loss, as nothing was said of how likely others were."""
    answers = task.answers if task else Answers("molfusion", 512)
    answers.learn([r.text for r in data.records["train"]])
    metrics: dict[str, float] = {}
    rows: list[dict[str, Any]] = []
    for split in ("val", "test"):
        said = [Answer(r.id, r.group, r.smiles, r.prompt, r.text, say(r), math.nan, 0) for r in data.records[split]]
        scored, told = answers.scored(said)
        found = {name: value for name, value in scored.items() if name != "loss"}
        if task and task.select in found:
            found["score"] = found[task.select]
        metrics |= {f"{split}/{name}": value for name, value in found.items()}
        rows += [{"split": split, **row} for row in told]
    return metrics, rows


CAPTION_BASELINES: dict[str, Callable[..., Result]] = {
    "nearest": nearest,
    "random": drawn,
    "mean": mean,
    "calculator": calculator,
}

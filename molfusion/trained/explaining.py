"""Which atoms and parts of the picture an answer rests on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from molfusion.batch import MoleculeBatch, Record
from molfusion.build import build
from molfusion.config import ConfigError
from molfusion.data.asked import with_text
from molfusion.data.dataset import MoleculeDataset
from molfusion.encoders.base import NotApplicable
from molfusion.grounding.answers import Answers, generates, unanswered
from molfusion.grounding.attribution import Method, watched
from molfusion.grounding.files import deletion_test, explained, write_grounding
from molfusion.grounding.scores import check_answers
from molfusion.tasks.property import Property
from molfusion.trained.asking import Asker, Question, Rows

if TYPE_CHECKING:
    from molfusion.trained.trained import Molecules, Trained


class Own:
    """Some molecules of a split that the run was trained beside, as it is scored on them.

    Args:
        run: trained.
        asker: of it.
        split: `val` or `test`.
        ids: of the molecules; else the first ones.
        most: how many of those.

    Raises:
        ConfigError: no such molecule.
    """

    def __init__(self, run: Trained, asker: Asker, split: str, ids: Sequence[str] = (), most: int = 8) -> None:
        data = build(run.config, run.path, (), run.allowed).data
        asker.follow(data)
        data.prepare_data()
        data.setup("test")
        self._dataset = cast(MoleculeDataset, (data.val_dataloader() if split == "val" else data.test_dataloader()).dataset)
        self._size = data.batch_size
        known = {r.id: place for place, r in enumerate(data.records[split])}
        if unknown := [i for i in ids if i not in known]:
            some = f"; such as {next(iter(known))!r}" if known else ""
            raise ConfigError(f"there is no molecule {unknown[0]!r} in the {split} split of {data.card.name}{some}")
        self._places = {i: known[i] for i in ids or list(known)[:most]}
        self.records = [self._dataset.records[place] for place in self._places.values()]

    def batches(self) -> Iterator[MoleculeBatch]:
        """In the order of `records`."""
        for start in range(0, len(self.records), self._size):
            yield self._of(self.records[start : start + self._size])

    def alone(self, record: Record) -> MoleculeBatch:
        """A batch of one."""
        return self._of([record])

    def _of(self, records: Sequence[Record]) -> MoleculeBatch:
        return self._dataset.__getitems__([(self._places[r.id], 0) for r in records])


def explain(
    run: Trained,
    which: Molecules,
    ids: Sequence[str],
    most: int,
    split: str,
    method: Method,
    answers: Answers | None,
    text: str | None,
    folder: Path,
) -> Rows:
    """See `Trained.explain`."""
    task = run.whole("explain")
    check_answers(task)
    watched(task, method)
    if which is None and text is not None:
        raise ConfigError("the run's own molecules have texts of their own: give `text` with other molecules")
    if which is not None and ids:
        raise ConfigError("`ids` choose among the run's own molecules: give them, or other molecules")
    if text is not None and (isinstance(task, Property) or answers == "generated"):
        raise NotApplicable("`text` is the right answer of Captioning or Retrieval: neither values nor generated answers need it")
    if answers == "generated" and not generates(task):
        raise NotApplicable(f"answers: {type(task).__name__} generates none; explain those given")
    own = which is None or text is not None or not generates(task)
    chosen: Answers = answers or ("given" if own else "generated")
    asker = run.asker()

    def question(records: Sequence[Record]) -> Question:
        known = {r.id: r for r in records}
        return lambda batch: explained(task, batch, [known[i] for i in batch.ids], folder, method, chosen)

    if which is None:
        some = Own(run, asker, split, ids, most)
        rows = asker.answers(some.batches(), some.records, some.alone, question(some.records), "molecules")
        write_grounding(rows, folder, method, chosen)
        return rows
    unfit: Callable[[Record], str] | None = (lambda record: unanswered(task, record)) if chosen == "given" else None
    data = run.asked(which, task.views, None if text is None else with_text(text), unfit, **_targets(run, which, chosen))
    asker.follow(data)
    data.setup("predict")
    return asker.molecules(data, question(data.asked))


def deletion(run: Trained, split: str, most: int, method: Method, share: float, folder: Path) -> dict[str, Any]:
    """The deletion test on the first molecules of a split: deletion.json, and what is in it.

    Raises:
        NotApplicable: nothing that could be taken out.
    """
    task = run.whole("explain")
    check_answers(task)
    watched(task, method)
    asker = run.asker()
    own = Own(run, asker, split, most=most)

    def pieces() -> Iterator[tuple[MoleculeBatch, Sequence[Record]]]:
        done = 0
        for batch in own.batches():
            yield batch.to(asker.device), own.records[done : done + len(batch)]
            done += len(batch)
            if asker.progress is not None:
                asker.progress("deletion", done, len(own.records))

    return deletion_test(task, pieces(), folder, method, share)


def _targets(run: Trained, which: Molecules, answers: Answers) -> dict[str, Any]:
    """The columns of a card that hold a property's right values, in the run's order."""
    if answers == "generated" or not isinstance(run.model, Property) or not isinstance(which, str | Path):
        return {}
    return {"targets": [target.name for target in run.model.targets]}

"""What a language model says of molecules."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from molfusion.data.asked import with_question
from molfusion.encoders.base import NotApplicable, merge_views
from molfusion.tasks.captioning import Captioning
from molfusion.trained.asking import Rows

if TYPE_CHECKING:
    from molfusion.trained.trained import Molecules, Trained


def caption(run: Trained, which: Molecules, prompt: str | None) -> Rows:
    """Rows with `id`, `row`, `smiles`, `prompt` (the question), `text`, `problem`.

    Raises:
        NotApplicable: no run of Captioning, or a question that its template has no place for.
        PromptError: a template with several {molecule}.
    """
    task = run.task(Captioning, "caption")
    template = prompt if prompt is not None and "{molecule}" in prompt else None
    question = None if prompt is None or template is not None else prompt
    if question is not None and "{question}" not in task.lm.view.template:
        raise NotApplicable(
            f"{run.path} was trained on the prompt {task.lm.view.template!r}, which has no {{question}}: "
            "give a whole prompt, with {molecule} where the molecule goes"
        )
    with _template(task, template):
        data = run.asked(which, task.views, None if question is None else with_question(question))
        return run.asker().molecules(data, task.predictions)


@contextmanager
def _template(task: Captioning, template: str | None) -> Iterator[None]:
    """Another template for the time being."""
    lm = task.lm
    kept = lm.view
    if template is not None:
        lm.view = replace(kept, template=kept.start + template)  # where an answer begins with `end`, so does the prompt
    _reads(task)
    try:
        yield
    finally:
        lm.view = kept
        _reads(task)


def _reads(task: Captioning) -> None:
    task.lm.views = frozenset({task.lm.view})
    task.views = merge_views(task.encoder, task.lm)

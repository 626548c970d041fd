import pytest

from molfusion.batch import Record
from molfusion.views.prompt import PromptError, PromptView
from molfusion.views.tokenizer import load_tokenizer

TOKENIZER = "package://molfusion/demo/bpe_vocab"


def decoded(ids):
    return load_tokenizer(TOKENIZER).decode(ids.tolist(), skip_special_tokens=False)


def test_parts():
    view = PromptView(TOKENIZER, "Of {molecule} ({smiles}): {question} ", smiles_length=3, question_length=6)
    row = view.featurise(Record("a", "CCOCC", "", text="One ring.", prompt="Weight of it?"))
    assert decoded(row["before"]) == "Of "
    assert decoded(row["after"]) == " (CCO): Weight "
    assert decoded(row["answer"]) == "One ring.</s>"
    assert row["learned"].all()
    assert row["length"] == sum(len(row[k]) for k in ("before", "after", "answer"))


@pytest.mark.parametrize(("task", "shown"), [("Description", "Weight"), ("", "Weight"), ("LogP", "Weight of it?")])
def test_only_descriptive_questions_are_cut(task, shown):
    view = PromptView(TOKENIZER, "{molecule}{question}", question_length=6)
    assert decoded(view.featurise(Record("a", "C", "", prompt="Weight of it?", task=task))["after"]) == shown


def test_braces_in_a_question_are_left_alone():
    view = PromptView(TOKENIZER, "{molecule}{question}")
    assert decoded(view.featurise(Record("a", "C", "", prompt="{smiles} {x}"))["after"]) == "{smiles} {x}"


@pytest.mark.parametrize(("template", "count"), [("Describe it.", "no"), ("{molecule} {molecule}", "2")])
def test_the_molecule_stands_in_a_prompt_once(template, count):
    with pytest.raises(PromptError, match=rf"has {count} {{molecule}}: write {{molecule}} once"):
        PromptView(TOKENIZER, template)


def test_a_record_without_text_has_no_answer():
    row = PromptView(TOKENIZER).featurise(Record("a", "C", ""))
    assert len(row["answer"]) == 0


def test_a_prompt_that_leaves_no_room():
    view = PromptView(TOKENIZER, "{molecule}{smiles}", length=4, cut=True)
    with pytest.raises(PromptError, match=r"record a: its prompt alone is \d+ tokens, which leaves no room within lm\.length 4"):
        view.featurise(Record("a", "N#N.OO.[Au].II", "", text="One ring."))


def test_a_batch():
    view = PromptView(TOKENIZER, "{molecule}{question}")
    batch = view.collate([view.featurise(Record("a", "C", "", text=t, prompt="Q?")) for t in ("One ring.", "")])
    assert batch.before.shape == (2, 0)
    assert batch.answer_mask.sum(1).tolist()[1] == 0
    asked = int(batch.after_mask[0].sum())
    assert batch.widest == (asked, asked + int(batch.answer_mask[0].sum()))
    assert batch.mask.shape[1] == batch.after.shape[1] + batch.answer.shape[1]


def test_equal_settings_are_one_view():
    assert PromptView(TOKENIZER) == PromptView(TOKENIZER)
    assert PromptView(TOKENIZER) != PromptView(TOKENIZER, question="What?")

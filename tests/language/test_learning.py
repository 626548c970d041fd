"""Likelihoods against Hugging Face's own loss over rows laid out by hand."""

import pytest
import torch
import torch.nn.functional as F

from molfusion.language import LanguageError
from molfusion.views.tokenizer import load_tokenizer
from tests.language.helpers import batch, model, record, row, soft


def by_hand(lm, r, molecule):
    """Mean loss of one answer and its end: one row without padding through the whole model."""

    def encode(text):
        return load_tokenizer(lm.view.tokenizer).encode(text, add_special_tokens=False).ids

    table = lm.model.get_input_embeddings().weight
    before, after = encode("Molecule: "), encode("\nDescribe the molecule.\n")
    answer = [*encode(r.text), 1]  # </s>
    x = torch.cat([table[before], molecule, table[after], table[answer]])
    labels = torch.tensor([-100] * (len(x) - len(answer)) + answer)
    return lm.model(inputs_embeds=x[None], labels=labels[None]).loss


def test_one_row_is_the_models_own_loss():
    lm, tokens = model(), soft(3)
    r = record()
    torch.testing.assert_close(lm.loss(tokens, batch(lm, r)), by_hand(lm, r, tokens.x[0]))


def test_rows_do_not_see_each_other_nor_padding():
    lm, tokens = model(), soft(3, 1, 5)
    records = [record("a"), record("b", "One ring."), record("c", "It has two carbons and a very much longer caption.")]
    together = lm.likelihood(tokens, batch(lm, *records))
    for i, r in enumerate(records):
        alone = lm.likelihood(row(tokens, i), batch(lm, r))
        torch.testing.assert_close(together.nll[i : i + 1], alone.nll)
        assert together.tokens[i] == alone.tokens
    total = torch.stack([by_hand(lm, r, tokens.x[i, tokens.mask[i]]) for i, r in enumerate(records)])
    mean = (total * together.tokens).sum() / together.tokens.sum()
    torch.testing.assert_close(lm.loss(tokens, batch(lm, *records)), mean)


def test_the_molecule_matters_and_learns():
    lm, tokens = model(), soft(2, 2)
    b = batch(lm, record("a"), record("b", "One ring."))
    x = tokens.x.clone().requires_grad_()
    lm.loss(tokens._replace(x=x), b).backward()
    assert (x.grad.abs().sum(-1) > 0).all()
    assert not torch.allclose(lm.loss(soft(2, 2, seed=2), b), lm.loss(tokens, b))


def test_bf16_autocast_stays_close():
    lm, tokens = model(), soft(2, 3)
    b = batch(lm, record("a"), record("b", "One ring."))
    with torch.autocast("cpu", torch.bfloat16):
        loss = lm.loss(tokens, b)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, lm.loss(tokens, b), atol=0.05, rtol=0.01)


def test_examples_stand_before_the_prompt():
    lm, tokens = model(), soft(2, 2)
    b = batch(lm, record("a"), record("b", "One ring."))
    shown = ["Molecule: C\n", "Molecule: CC\nMolecule: CCC\n"]
    together = lm.likelihood(tokens, b, shown)
    for i, key in enumerate("ab"):
        r = record(key, b.texts[i])
        front = type(lm)(config=lm.config.to_dict(), train="full", prompt=shown[i] + "Molecule: {molecule}\n{question}\n")
        front.load_state_dict(lm.state_dict())
        alone = front.eval().likelihood(row(tokens, i), batch(front, r))
        # Tokenised together or apart, the same bytes: pieces do not reach over a newline.
        torch.testing.assert_close(together.nll[i : i + 1], alone.nll)


def test_a_record_without_an_answer():
    lm = model()
    with pytest.raises(LanguageError, match=r"record b has no text: .* leave it out of the card"):
        lm.loss(soft(1, 1), batch(lm, record("a"), record("b", "  ")))


def test_an_answer_longer_than_the_window():
    lm = model(length=20)
    with pytest.raises(LanguageError, match=r"record a: prompt and answer are \d+ tokens, more than lm\.length 20"):
        lm.loss(soft(1), batch(lm, record("a", "It has many carbons. " * 5)))


def test_a_cut_answer_is_learned_without_its_end():
    lm = model(length=20, cut=True)
    b = batch(lm, record("a", "It has many carbons. " * 5), record("b", "Hm"))
    prompts = b[lm.view]
    asked = int(prompts.before_mask[0].sum() + prompts.after_mask[0].sum())
    assert asked + int(prompts.answer_mask[0].sum()) == 20
    assert 1 not in prompts.answer[0].tolist()
    assert prompts.answer[1][prompts.answer_mask[1]][-1] == 1
    assert lm.likelihood(soft(1, 1), b).tokens[0] == 20 - asked


def test_the_official_layout_learns_the_separator_and_no_end():
    lm = model(layout="3d-molm", prompt="Molecule: {molecule}.\n")
    prompts = batch(lm, record("a", "One ring."))[lm.view]
    told = load_tokenizer(lm.view.tokenizer).encode("One ring.").ids
    assert prompts.before[0, 0] == 1
    assert prompts.answer[0].tolist() == [1, *told]
    assert prompts.learned.all()


def test_smoothing_is_none():
    """The loss is the plain cross-entropy of the next token."""
    lm, tokens = model(), soft(1)
    b = batch(lm, record("a", "One"))
    rows = lm._rows(tokens, b[lm.view], (), True)
    logits = lm.model(inputs_embeds=rows.x).logits[0]
    labels = rows.labels[0]
    at = labels.ne(-100).nonzero().squeeze(1)
    torch.testing.assert_close(lm.loss(tokens, b), F.cross_entropy(logits[at - 1], labels[at]))

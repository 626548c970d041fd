import torch

from molfusion.language import Decoding
from molfusion.views.tokenizer import load_tokenizer
from tests.language.helpers import SIZES, batch, model, record, row, soft


def greedy_by_hand(lm, molecule, steps):
    """Without a cache: the whole row anew for every token."""

    def encode(text):
        return load_tokenizer(lm.view.tokenizer).encode(text, add_special_tokens=False).ids

    table = lm.model.get_input_embeddings().weight
    x = torch.cat([table[encode("Molecule: ")], molecule, table[encode("\nDescribe the molecule.\n")]])
    out = []
    for _ in range(steps):
        token = int(lm.model(inputs_embeds=x[None]).logits[0, -1].argmax())
        out.append(token)
        if token == 1:
            break
        x = torch.cat([x, table[token][None]])
    return out


@torch.no_grad()
def test_greedy_and_padded_rows():
    lm, tokens = model(), soft(3, 1)
    b = batch(lm, record("a"), record("b"))
    found = lm.generate_ids(tokens, b[lm.view], Decoding(max_new_tokens=6)).tolist()
    for i, told in enumerate(found):
        expected = greedy_by_hand(lm, tokens.x[i, tokens.mask[i]], 6)
        assert told[: len(expected)] == expected
        assert told[len(expected) :] == [1] * (len(told) - len(expected))


def test_a_text_a_row_bounded_and_without_specials():
    lm, tokens = model(), soft(3, 1)
    b = batch(lm, record("a"), record("b"))
    texts = lm.generate(tokens, b, Decoding(max_new_tokens=5))
    assert len(texts) == 2
    assert texts[1] == lm.generate(row(tokens, 1), batch(lm, record("b")), Decoding(max_new_tokens=5))[0]
    beams = lm.generate_ids(tokens, b[lm.view], Decoding(max_new_tokens=4, min_new_tokens=4, num_beams=3))
    assert beams.shape == (2, 4)
    assert not beams.eq(1).any()


def test_rows_that_no_token_has_are_never_written():
    lm = model(config={**SIZES, "vocab_size": 1030})
    with torch.no_grad():
        lm.model.lm_head.weight.zero_()
        lm.model.lm_head.weight[1024:] = 5 * torch.sign(torch.randn(6, 32))
    found = lm.generate_ids(soft(2), batch(lm, record())[lm.view], Decoding(max_new_tokens=8))
    assert found.max() < 1024


def test_a_repetition_penalty_counts_from_the_first_new_token():
    """transformers 5 leaves as many new tokens unpenalised as the row has padding on its left."""
    lm, tokens = model(), soft(9, 1)  # eight columns of padding in the second row
    b = batch(lm, record("a"), record("b"))
    with torch.no_grad():
        lm.model.lm_head.weight.zero_()
        lm.model.lm_head.weight[40:80] = torch.randn(40, 32)
    found = lm.generate_ids(tokens, b[lm.view], Decoding(max_new_tokens=8, repetition_penalty=1e6))
    for told in found.tolist():
        assert len(set(told)) == len(told)

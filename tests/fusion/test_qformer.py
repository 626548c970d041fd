import numpy as np
import pytest
import torch

from molfusion.batch import Tokens
from molfusion.encoders import GIN
from molfusion.fusion import QFormer
from molfusion.fusion.qformer import Negatives, negative_weights
from molfusion.nn.contrastive import Contrast
from molfusion.views.text import Texts
from tests import contract


@pytest.fixture
def model():
    torch.manual_seed(0)
    return QFormer(GIN(dim=16, layers=1), queries=3, dim=16, layers=2, heads=2, ffn=32, width=8, dropout=0.0).eval()


def test_a_pair_is_never_its_own_negative(model):
    weights = negative_weights(torch.randn(6, 6) * 10)
    assert (weights.diagonal() == 0).all()
    assert (weights.sum(1) > 0).all()
    contrast = Contrast(torch.zeros(()), torch.randn(4, 4), torch.randn(4, 4))
    from molfusion.fusion.qformer import draw_negatives

    for _ in range(20):
        for drawn in draw_negatives(contrast):
            assert (drawn != torch.arange(4)).all()


def test_one_pair_has_no_matching_loss(model):
    losses = model.losses(contract.collate(model, contract.records()[:1]))
    assert set(losses) == {"contrast", "caption"}
    assert all(torch.isfinite(v) for v in losses.values())


def test_pairwise_scores_are_the_matching_logits(model):
    chosen = contract.records()
    batch = contract.collate(model, chosen)
    items = model.match_items(batch)
    pairs = np.array([[0, 0], [2, 1], [4, 4], [1, 3]])
    found = model.match_scores(items, pairs, batch_size=3)
    read = model.read(model.encoder(batch))
    texts = batch[model.text]
    for (i, j), score in zip(pairs, found, strict=True):
        one = Texts(texts.ids[j : j + 1], texts.mask[j : j + 1])
        expected = model.match_logits(read.states[i : i + 1], read.bias[i : i + 1], one)[0, 1]
        assert score == pytest.approx(expected.item(), abs=1e-5)
    assert len(model.match_scores(items, np.zeros((0, 2), dtype=int))) == 0


def test_captioning_is_asked_of_words_only(model):
    """Padding adds nothing to the loss."""
    tokens = Tokens(torch.randn(2, 4, 16), torch.ones(2, 4, dtype=torch.bool))
    ids = torch.tensor([[2, 7, 8, 3], [2, 9, 3, 0]])
    texts = Texts(ids, ids.ne(0))
    longer = torch.nn.functional.pad(ids, (0, 5))
    read = model.read(tokens)
    first = model._caption_loss(read, texts)
    torch.testing.assert_close(model._caption_loss(read, Texts(longer, longer.ne(0))), first)


def test_given_negatives_are_used(model):
    tokens = Tokens(torch.randn(3, 4, 16), torch.ones(3, 4, dtype=torch.bool))
    ids = torch.tensor([[2, 7, 3], [2, 8, 3], [2, 9, 3]])
    texts = Texts(ids, ids.ne(0))
    a = model.losses_of(tokens, texts, Negatives(torch.tensor([1, 0, 0]), torch.tensor([1, 0, 0])))["match"]
    b = model.losses_of(tokens, texts, Negatives(torch.tensor([2, 2, 1]), torch.tensor([2, 2, 1])))["match"]
    assert a != b

import torch

from molfusion.nn.query_bert import QueryBert


def stack():
    torch.manual_seed(0)
    return QueryBert(vocab=20, dim=16, source=8, layers=3, heads=2, ffn=32, cross_every=2).eval()


def test_cross_attention_only_every_other_layer():
    assert [layer.cross is not None for layer in stack().layers] == [True, False, True]


def test_a_caption_sees_the_queries_and_no_later_word():
    model = stack()
    states = torch.randn(1, 5, 8)
    _, cache = model.read_states(torch.randn(1, 3, 16), states, None)
    ids = torch.tensor([[5, 6, 7, 8]])
    mask = torch.ones(1, 4, dtype=torch.bool)
    first = model.read_caption(ids, mask, cache)
    changed = ids.clone()
    changed[0, 3] = 9
    second = model.read_caption(changed, mask, cache)
    torch.testing.assert_close(first[:, :3], second[:, :3])
    assert not torch.allclose(first[:, 3], second[:, 3])
    _, other = model.read_states(torch.randn(1, 3, 16), states + 1, None)
    assert not torch.allclose(model.read_caption(ids, mask, other), first)


def test_text_alone_reads_both_ways():
    model = stack()
    ids, mask = torch.tensor([[5, 6, 7]]), torch.ones(1, 3, dtype=torch.bool)
    changed = torch.tensor([[5, 6, 9]])
    assert not torch.allclose(model.read_text(ids, mask)[:, 0], model.read_text(changed, mask)[:, 0])


def test_padded_text_changes_nothing():
    model = stack()
    ids, mask = torch.tensor([[5, 6, 7]]), torch.ones(1, 3, dtype=torch.bool)
    longer = torch.tensor([[5, 6, 7, 0, 0]])
    torch.testing.assert_close(model.read_text(longer, longer.ne(0))[:, :3], model.read_text(ids, mask))
    torch.testing.assert_close(model.read_text(ids, mask, wanted=1), model.read_text(ids, mask)[:, :1])


def test_what_a_query_reads_of_the_states():
    """Weights times values, through the same output and norm, are what the layer itself computes."""
    cross = stack().layers[0].cross
    cross.heads = 1
    x, states = torch.randn(2, 3, 16), torch.randn(2, 5, 8)
    bias = torch.zeros(2, 1, 1, 5)
    bias[1, ..., 3:] = torch.finfo(torch.float32).min
    read = cross.weights(x, states, bias)
    assert read.shape == (2, 3, 5)
    assert not read[1, :, 3:].any()
    torch.testing.assert_close(cross.norm(cross.out(read @ cross.value(states)) + x), cross(x, states, bias)[0])

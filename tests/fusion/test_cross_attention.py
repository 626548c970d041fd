import pytest
import torch

from molfusion.batch import Tokens
from molfusion.encoders import GIN, E3FPTokens, Fingerprint, Frozen, UniMol
from molfusion.encoders.base import Encoder
from molfusion.fusion import CrossAttention
from molfusion.nn.layout import Layout
from molfusion.views.e3fp import E3FPView
from tests import contract


class Given(Encoder):
    def __init__(self, dim, grids=None):
        super().__init__()
        self.dim, self.views = dim, frozenset()
        if grids:
            self.grids = grids

    def forward(self, batch):
        return batch[self.dim]


def tokens(b, t, d, mask=None):
    torch.manual_seed(t)
    return Tokens(torch.randn(b, t, d), torch.ones(b, t, dtype=torch.bool) if mask is None else torch.tensor(mask))


ANY_TWO = [
    (lambda: UniMol(8, 1, 8, 2, 4), lambda: GIN(6, 1)),
    (lambda: GIN(6, 1), lambda: Fingerprint(dim=5, hidden=8, bits=64)),
    (lambda: Fingerprint(dim=5, hidden=8, bits=64), lambda: E3FPTokens(6, shells=E3FPView(bits=64))),
    (lambda: CrossAttention(GIN(6, 1), Fingerprint(dim=5, hidden=8, bits=64), 4, 2), lambda: UniMol(8, 1, 8, 2, 4)),
]  # fmt: skip


@pytest.mark.parametrize("kind", ["attention", "concat", "linear"])
@pytest.mark.parametrize("pair", ANY_TWO, ids=["unimol-gin", "gin-fingerprint", "fingerprint-e3fp", "nested"])
def test_any_two_encoders(pair, kind):
    query, context = (make() for make in pair)
    fusion = CrossAttention(query, context, dim=8, heads=2, layers=2, kind=kind)
    for check in (contract.check_shape, contract.check_alone, contract.check_train_is_eval):
        check(fusion)
    contract.check_gradients(fusion, torch.float32)
    assert fusion.views == query.views | (frozenset() if kind == "linear" else context.views)


def test_reads_the_context_and_only_what_may_be_seen():
    fusion = CrossAttention(Given(4), Given(6), dim=4, heads=2)
    query = tokens(1, 3, 4)
    context = tokens(1, 5, 6, [[True, True, False, False, False]])
    found = fusion.fuse(query, context)
    beyond = context.x.clone()
    beyond[:, 2:] = 99.0
    assert torch.equal(fusion.fuse(query, Tokens(beyond, context.mask)), found)
    within = context.x.clone()
    within[:, 0] += 1
    assert not torch.allclose(fusion.fuse(query, Tokens(within, context.mask)), found)
    read = fusion.layers[0].weights(fusion.projection(query.x), context.x, ~context.mask)
    assert read.shape == (1, 3, 5)
    assert read[..., 2:].sum() == 0


def test_the_context_has_no_order():
    fusion = CrossAttention(Given(4), Given(6), dim=4, heads=2)
    query, context = tokens(2, 3, 4), tokens(2, 5, 6)
    turned = Tokens(context.x.flip(1), context.mask.flip(1))
    torch.testing.assert_close(fusion.fuse(query, turned), fusion.fuse(query, context))


@pytest.mark.parametrize("kind", ["attention", "concat"])
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_nothing_to_read_is_not_nan(kind, precision):
    fusion = CrossAttention(Given(4), Given(6), dim=4, heads=2, kind=kind)
    context = tokens(2, 3, 6, [[False] * 3, [True, False, True]])
    with torch.autocast("cpu", dtype=precision, enabled=precision != torch.float32):
        found = fusion.fuse(tokens(2, 3, 4), context)
    found.float().sum().backward()
    assert torch.isfinite(found).all()
    assert all(torch.isfinite(p.grad).all() for p in fusion.parameters())
    assert context.mask.tolist() == [[False] * 3, [True, False, True]], "the caller's mask was written to"


def test_linear_leaves_the_context_out():
    fusion = CrossAttention(Given(4), Given(6), dim=3, heads=1, kind="linear")
    assert fusion.context is None
    query = tokens(2, 3, 4)
    torch.testing.assert_close(fusion({4: query}).x, fusion.projection(query.x))
    assert CrossAttention(Given(4), dim=3, kind="linear").context is None


def test_concat_puts_the_mean_beside():
    fusion = CrossAttention(Given(2), Given(2), dim=2, kind="concat")
    context = Tokens(torch.tensor([[[1.0, 3.0], [3.0, 5.0], [99.0, 99.0]]]), torch.tensor([[True, True, False]]))
    seen = {}
    fusion.mixer.register_forward_pre_hook(lambda m, args: seen.update(x=args[0]))
    fusion.fuse(tokens(1, 2, 2), context)
    assert seen["x"][..., 2:].tolist() == [[[2, 4], [2, 4]]]


def test_layout_after_the_fusion():
    fusion = CrossAttention(Given(4, ((1, 2), (2, 1))), Given(6), dim=4, heads=2, layout=True)
    query, context = tokens(2, 4, 4), tokens(2, 3, 6)
    found = fusion({4: query, 6: context})
    fused, newline, separator = fusion.fuse(query, context), fusion.layout.newline, fusion.layout.separator
    expected = [fused[0, 0], fused[0, 1], newline, fused[0, 2], newline, fused[0, 3], newline, separator]
    torch.testing.assert_close(found.x[0], torch.stack(expected))
    assert found.mask.all()
    frozen = CrossAttention(Frozen(fusion.query), fusion.context, dim=4, heads=2, layout=True)
    assert frozen({4: query, 6: context}).x.shape == (2, 8, 4)


def test_layout_counts():
    with pytest.raises(ValueError, match="5 tokens, but grids of 2 × 2"):
        Layout(3)(torch.zeros(1, 5, 3), [(2, 2)])


def test_what_does_not_fit():
    with pytest.raises(ValueError, match="3 heads do not divide a width of 8"):
        CrossAttention(Given(4), Given(6), dim=8, heads=3)
    with pytest.raises(ValueError, match="give CrossAttention one"):
        CrossAttention(Given(4), dim=8)
    with pytest.raises(ValueError, match="Given makes no pictures"):
        CrossAttention(Given(4), Given(6), dim=8, layout=True)


def test_blocks_are_of_both_sides():
    query, context = UniMol(8, 1, 8, 2, 4), GIN(6, 2)
    assert CrossAttention(query, context, 8, 2).blocks[:3] == [*query.blocks, *context.blocks]
    assert len(CrossAttention(query, context, 8, 2, layers=3).blocks) == 6

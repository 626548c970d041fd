"""Any encoder whose tokens stand for atoms, wherever it is in a model."""

import numpy as np
import pytest
import torch
from torch import nn

from molfusion.batch import Geometry, Record, Tokens
from molfusion.encoders import GIN, E3FPTokens, Encoder, Frozen, MoleBlend, Projection, UniMol
from molfusion.encoders.base import NotApplicable
from molfusion.encoders.cached import CachedTokens, encoder_digest
from molfusion.fusion import CrossAttention, QFormer
from molfusion.grounding import Watch, delete, ground
from molfusion.grounding.attribution import by_atom
from molfusion.grounding.scores import predicted
from molfusion.views.e3fp import E3FPView
from molfusion.views.graph import GraphView
from tests.contract import collate, records
from tests.grounding.helpers import batch_of, probe

UNIMOL = {"dim": 8, "layers": 1, "ffn": 16, "heads": 2, "kernels": 4, "dropout": 0.0}
MOLEBLEND = {"dim": 8, "layers": 2, "ffn": 8, "heads": 2, "kernels": 4}
QUERIES = {"queries": 2, "dim": 8, "layers": 2, "heads": 2, "ffn": 16, "width": 8, "length": 64, "dropout": 0.0}


class Elements(Encoder):
    """A token of width 1 for each atom, known by its element; an encoder of somebody's own."""

    def __init__(self, summary=0):
        super().__init__()
        self.dim, self.summary_tokens = 1, summary
        self.view = GraphView()
        self.views = frozenset({self.view})
        self.table = nn.Embedding(119, 1)

    def forward(self, batch):
        graph = batch[self.view]
        sizes = graph.ptr.diff().tolist()
        x = nn.utils.rnn.pad_sequence(torch.split(self.table(graph.x[:, 0]), sizes), batch_first=True)
        return Tokens(x, torch.arange(x.shape[1])[None] < torch.tensor(sizes)[:, None])


class Pointing(Elements):
    def token_atoms(self, record):
        return np.arange(len(record.geometry.numbers))


def linear(wrap=lambda encoder: encoder):
    """y = mean over the atoms of 6 for an oxygen, -3 for a nitrogen; of an alanine: (-3 + 6 + 6) / 6."""
    encoder = Pointing()
    with torch.no_grad():
        encoder.table.weight.zero_()
        encoder.table.weight[7], encoder.table.weight[6] = 6.0, -3.0
    task = probe(wrap(encoder), head=[1.0])
    chosen = [records()[3], records()[0]]  # N[C@@H](C)C(=O)O and CCO
    return task, collate(encoder, chosen), chosen


@pytest.mark.parametrize("wrap", [lambda e: e, Frozen, lambda e: Frozen(Frozen(e)), lambda e: CachedTokens(e, encoder_digest(e))])
def test_a_linear_model_by_hand(wrap, monkeypatch):
    monkeypatch.setattr(CachedTokens, "forward", Frozen.forward)  # as if read from a file
    task, batch, chosen = linear(wrap)
    found = ground(task, batch, chosen, score=predicted)
    assert found[0].rightness == pytest.approx(1.5)
    assert found[0].atoms.tolist() == pytest.approx([-0.5, 0, 0, 0, 1, 1])
    assert found[1].atoms.tolist() == pytest.approx([0, 0, 2])  # padding is nobody's
    assert found[1].shells.size == 0


def test_without_the_atom_that_counts():
    task, batch, chosen = linear()  # of the ethanol 0 is measured, 2 said: the oxygen leads astray, either carbon helps
    found = delete(task, batch, chosen, share=0.3, draws=40)
    assert [d.atoms for d in found] == [2, 1]
    # Without a carbon the mean is 3 instead of 2.
    assert found[1].top == pytest.approx(1.0)
    assert found[1].random == pytest.approx((1 + 1 - 2) / 3, abs=0.5)


def test_several_encoders_add_up():
    class Both(Encoder):
        def __init__(self, first, second):
            super().__init__()
            self.first, self.second = first, second
            self.dim, self.views = 1, first.views

        def forward(self, batch):
            one, other = self.first(batch), self.second(batch)
            return Tokens(one.x + other.x, one.mask)

    first, second = Pointing(), Pointing()
    task = probe(Both(first, second), head=[1.0])
    batch, chosen = batch_of(task, [records()[0]])
    with torch.no_grad():
        first.table.weight.fill_(3.0)
        second.table.weight.zero_()
        second.table.weight[7] = 6.0
    (found,) = ground(task, batch, chosen, score=predicted)
    assert found.atoms.tolist() == pytest.approx([1, 1, 1 + 2])
    assert len(delete(task, batch, chosen)) == 1


def test_a_hydrogen_counts_for_the_atom_it_sits_on():
    encoder = UniMol(**UNIMOL, hydrogens=True)
    task = probe(encoder)
    numbers = np.array([6, 8, 1, 1], np.uint8)
    positions = np.array([[0, 0, 0], [1.4, 0, 0], [1.8, 0.9, 0], [-0.5, 0.9, 0]], np.float32)
    methanol = Record("m", "CO", "CO", Geometry(numbers, positions), targets=(0.0,))
    assert encoder.token_atoms(methanol).tolist() == [-1, 0, 1, 1, 0, -1]
    batch, chosen = batch_of(task, [methanol])
    with torch.no_grad():
        counted = (encoder(batch).x[0] @ task.head.weight[0] / 6).tolist()  # linear, over [CLS] C O H H [SEP]
    (found,) = ground(task, batch, chosen, score=predicted)
    assert found.atoms.tolist() == pytest.approx([counted[1] + counted[4], counted[2] + counted[3]], abs=1e-6)


@pytest.mark.parametrize("readout", ["token", "mean"])
@pytest.mark.parametrize("wrap", [lambda e: e, Frozen])
def test_where_a_readout_takes_the_summary_alone(readout, wrap):
    """Atoms are caught where they enter the first layer: to first order what is lost when they are a little fainter."""
    torch.manual_seed(0)
    task = probe(wrap(MoleBlend(**MOLEBLEND)), readout=readout)
    batch, chosen = batch_of(task)
    found = ground(task, batch, chosen, score=predicted)
    assert all(g.atoms.any() for g in found if len(g.atoms) > 1)
    layer, faint = next(m for m in task.modules() if isinstance(m, MoleBlend)).layers[0], 1e-3

    def fainter(module, inputs):
        x = inputs[0].clone()
        x[0, 3] *= 1 - faint  # the oxygen of CCO, behind the graph token
        return (x, *inputs[1:])

    with torch.no_grad():
        whole = predicted(task, batch)[0]
        with_less = layer.register_forward_pre_hook(fainter)
        lost = (whole - predicted(task, batch)[0]).item() / faint
        with_less.remove()
    assert found[0].atoms[2] == pytest.approx(lost, rel=0.05, abs=2e-3)
    assert all(np.isfinite([d.top, d.random]).all() for d in delete(task, batch, chosen, draws=2))


def test_what_queries_read():
    """Keys that are all alike are read alike: of [CLS] C C O [SEP] a fifth each."""
    fusion = QFormer(Frozen(UniMol(**UNIMOL)), **QUERIES)
    task = probe(fusion)
    batch, chosen = batch_of(task)
    with torch.no_grad():
        fusion.bert.layers[0].cross.key.weight.zero_()
    found = ground(task, batch, chosen, "attention")
    assert found[0].atoms.tolist() == pytest.approx([0.2, 0.2, 0.2])
    assert found[2].atoms.tolist() == pytest.approx([1 / 3])
    assert any(ground(task, batch, chosen)[0].atoms)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in task.modules())


def test_both_sides_of_a_fusion():
    context = E3FPTokens(8, shells=E3FPView(bits=64))
    task = probe(CrossAttention(GIN(8, 1), context, 8, 2))
    batch, chosen = batch_of(task)
    (ethanol, *_), read = ground(task, batch, chosen), ground(task, batch, chosen, "attention")
    assert len(ethanol.atoms) == 3
    assert ethanol.atoms.sum() != pytest.approx(ethanol.shells.sum())  # GIN's are among them
    assert read[0].atoms.sum() == pytest.approx(1)  # only the structure tokens are read


def test_what_nobody_can_say():
    with pytest.raises(NotApplicable, match=r"encoders are: Elements. .*token_atoms"):
        Watch(probe(Elements()))
    with pytest.raises(NotApplicable, match="E3FPTokens, GIN, MoleBlend, UniMol"):
        Watch(probe(Elements()))

    class Summed(Pointing):
        summary_tokens = 1

    with pytest.raises(NotApplicable, match="`blocks` must say"):
        Watch(probe(Summed(1)))
    with pytest.raises(NotApplicable, match="only the first is read"):
        Watch(probe(Projection(UniMol(**UNIMOL), 8, pool="first")))
    with pytest.raises(NotApplicable, match="reads padding alone"):
        Watch(probe(QFormer(UniMol(**UNIMOL, spare_padding=1), **QUERIES, mask="legacy_inverted")))
    fused = QFormer(UniMol(**UNIMOL), **QUERIES)
    with pytest.raises(NotApplicable, match="UniMol is not asked, as tokens made of it are read from a file"):
        Watch(probe(CachedTokens(fused, encoder_digest(fused))))
    task = probe(GIN(8, 1))
    with pytest.raises(NotApplicable, match=r"that reads the tokens of GIN themselves; .*take the gradient"):
        ground(task, *batch_of(task), "attention")


def test_more_atoms_than_tokens():
    assert by_atom(np.array([1.0, 2, 4, 8]), np.array([-1, 1, 1]), 3).tolist() == [0, 6, 0]
    with pytest.raises(ValueError, match="token_atoms names the atoms of 2 tokens, but there are 1"):
        by_atom(np.ones(1), np.arange(2), 2)

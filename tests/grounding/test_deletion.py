import numpy as np
import pytest
import torch

from molfusion.encoders import E3FPTokens
from molfusion.grounding import Deletion, Watch, delete
from molfusion.grounding.deletion import summary
from molfusion.views.e3fp import E3FPView
from tests.grounding.helpers import batch_of, fused, probe
from tests.grounding.test_attribution import linear


def test_taking_out_the_atom_that_counts():
    task, batch, chosen = linear()
    (found,) = delete(task, batch, chosen, share=0.15, draws=60)
    assert found.atoms == 1
    # Without it the answer is 0 instead of 0.5, measured is 3; any other leaves 6 of 10 instead of 12 tokens.
    assert found.top == pytest.approx(0.5)
    others = 0.5 - 6 / 10  # the mean grows: that helps
    expected = (found.top + 5 * others) / 6
    assert found.random == pytest.approx(expected, abs=0.1)
    assert found.top > found.random


def test_a_molecule_left_without_tokens_keeps_zeros():
    task, batch, _ = linear()
    watch = Watch(task)
    everything = torch.ones(1, 12, dtype=torch.bool)
    with watch.tokens([everything]) as seen:
        task(batch)
    assert seen[task.encoder].mask.any()
    assert not seen[task.encoder].x.any()


@pytest.mark.parametrize("arrangement", ["bag", "joint"])
@pytest.mark.parametrize("method", ["gradient", "attention"])
def test_runs_on_a_fusion(arrangement, method):
    task = probe(fused(context=E3FPTokens(8, arrangement, E3FPView(bits=64))))
    batch, chosen = batch_of(task)
    found = delete(task, batch, chosen, method, draws=2)
    assert [d.id for d in found] == [r.id for r in chosen if r.smiles != "C"]
    assert all(np.isfinite([d.top, d.random]).all() for d in found)


def test_summary():
    found = summary([Deletion("a", 1, 3.0, 1.0), Deletion("b", 1, 2.0, 1.0), Deletion("c", 1, 0.0, 1.0)])
    assert found["molecules"] == 3
    assert found["top"] == pytest.approx(5 / 3)
    assert found["random"] == 1.0
    assert found["difference"] == pytest.approx(2 / 3)
    assert found["top_hurts_more"] == pytest.approx(2 / 3)
    assert found["interval"][0] == pytest.approx(-1.0)
    assert found["interval"][1] == pytest.approx(2.0)

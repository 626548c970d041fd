"""What a property is read off: the mean, the molecule's own token, or a sum over atoms."""

import pytest
import torch

from molfusion.batch import Target, Tokens
from molfusion.encoders import Fingerprint, Frozen
from molfusion.encoders.base import Encoder, NotApplicable
from molfusion.tasks import Property
from molfusion.tasks.schedule import CosineRestarts


class Fixed(Encoder):
    """Tokens given by hand: the first stands for the molecule."""

    summary_tokens = 1

    def __init__(self):
        super().__init__()
        self.dim, self.views = 2, frozenset()
        self.x = torch.tensor([[[9.0, 0], [1, 2], [3, 4]], [[8.0, 0], [5, 6], [77, 77]]])

    def forward(self, batch):
        return Tokens(self.x, torch.tensor([[True, True, True], [True, True, False]]))


def task(readout, norm=False, encoder=None):
    made = Property(encoder or Fixed(), head="linear", readout=readout, norm=norm)
    made.targets = (Target("a"),)
    made.configure_model()
    made.head.weight.data, made.head.bias.data = torch.tensor([[1.0, 10.0]]), torch.tensor([0.5])
    return made


@pytest.mark.parametrize(("readout", "expected"), [
    ("token", [9.5, 8.5]), ("mean", [2 + 30 + 0.5, 5 + 60 + 0.5]), ("sum", [21 + 43 + 1.0, 65 + 0.5]),
])  # fmt: skip
def test_by_hand(readout, expected):
    for encoder in (Fixed(), Frozen(Fixed())):
        assert task(readout, encoder=encoder)(None).flatten().tolist() == expected


def test_norm_is_of_what_the_head_reads():
    normed = task("sum", norm=True)(None).flatten()
    # Two tokens become (-1, 1) each: -1 + 10 + 0.5 an atom.
    torch.testing.assert_close(normed, torch.tensor([19.0, 9.5]), atol=1e-3, rtol=1e-3)


def test_an_encoder_without_such_a_token():
    with pytest.raises(NotApplicable, match="Fingerprint has no token for the whole molecule: set readout to mean or sum"):
        Property(Fingerprint(bits=64), readout="token")


def test_cosine_with_restarts_by_hand():
    """Warm-up of 10 from 0.2, then periods of 20 that fall to a tenth of their height, each a tenth of the one before."""
    schedule = CosineRestarts(warmup=10, start=0.2, floor=0.1, period=20, shrink=0.1)
    found = [schedule.factor(step, 1000) for step in (0, 5, 10, 20, 30, 40, 50)]
    assert found == pytest.approx([0.2, 0.6, 1.0, 0.55, 0.1, 0.055, 0.01])
    longer = CosineRestarts(warmup=0, period=10, growth=2.0)
    assert [longer.factor(s, 0) for s in (0, 5, 10, 20, 30)] == pytest.approx([1.0, 0.5, 0.1, 0.05, 0.01])
    whole = CosineRestarts(warmup=10)
    assert whole.factor(110, 210) == pytest.approx(0.5)
    assert whole.factor(209, 210) < 1e-3

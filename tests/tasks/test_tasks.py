import pytest
import torch

from molfusion.encoders import Fingerprint, TextEncoder
from molfusion.encoders.base import NotApplicable
from molfusion.fusion import QFormer
from molfusion.tasks import Property, Retrieval
from molfusion.tasks.schedule import Constant, WarmupCosine
from tests import contract
from tests.tasks.helpers import FINGERPRINT, TEXT, fit


def test_an_encoder_that_does_not_align_itself_needs_a_text_side():
    with pytest.raises(NotApplicable, match="Fingerprint does not align itself with text: give Retrieval a `text` encoder"):
        Retrieval(Fingerprint(bits=64))


def test_rerank_needs_a_matching_head():
    with pytest.raises(NotApplicable, match="no matching head"):
        Retrieval(Fingerprint(bits=64), TextEncoder(dim=16, heads=2, layers=1), rerank=4)


def test_views_flow_from_the_model():
    encoder, text = Fingerprint(bits=64), TextEncoder(dim=16, heads=2, layers=1)
    assert Retrieval(encoder, text).views == encoder.views | text.views
    fused = QFormer(encoder, dim=16, heads=2, layers=1, ffn=16)
    assert Retrieval(fused).views == encoder.views | {fused.text}
    assert Property(fused).views == encoder.views  # a probe does not read captions


def test_unmeasured_targets_carry_no_loss_and_no_gradient():
    task = Property(Fingerprint(dim=8, hidden=16, bits=64, dropout=0.0))
    from molfusion.batch import Target

    task.targets = (Target("a"), Target("b", kind="classification"))
    task.mean, task.std, task.is_class = torch.tensor([1.0, 0.0]), torch.tensor([2.0, 1.0]), torch.tensor([False, True])
    task.configure_model()
    batch = contract.collate(task.encoder, contract.records())
    batch.targets = torch.full((6, 2), float("nan"))
    loss = task.losses(batch)["loss"]
    assert loss.item() == 0
    batch.targets[0, 0] = 3.0
    out = task(batch)
    expected = (out[0, 0] - 1.0).abs()  # standardised: (3 - 1) / 2
    torch.testing.assert_close(task.losses(batch)["loss"], expected)


def test_weights_of_losses_are_checked():
    task = Retrieval(Fingerprint(bits=64), TextEncoder(dim=16, heads=2, layers=1), weights={"contrst": 2.0})
    with pytest.raises(ValueError, match="weights names 'contrst'; the losses are contrast"):
        task.weighted({"contrast": torch.ones(())})
    task.weights = {"contrast": 2.0}
    assert task.weighted({"contrast": torch.ones(())}).item() == 2.0


def test_schedules():
    schedule = WarmupCosine(warmup=0.1, floor=0.1)
    factors = [schedule.factor(s, 100) for s in range(101)]
    assert factors[0] == pytest.approx(0.1)
    assert max(factors) == factors[9] == pytest.approx(1.0)
    assert factors[-1] == pytest.approx(0.1)
    assert factors[10:] == sorted(factors[10:], reverse=True)
    assert WarmupCosine(warmup=20).factor(19, 100) == pytest.approx(1.0)
    assert Constant().factor(5, 10) == 1.0


@pytest.mark.slow
def test_a_checkpoint_can_be_a_start(card, tmp_path):
    fit(tmp_path / "a", card, "Retrieval", encoder=FINGERPRINT, text=TEXT, epochs=2)
    start = str(tmp_path / "a" / "checkpoints" / "best.ckpt")
    from molfusion.runner import Run
    from tests.tasks.helpers import config

    run = Run(config(card, "Retrieval", encoder=FINGERPRINT, text=TEXT, start=start, lr=0.0, epochs=1), tmp_path / "b")
    run.fit()
    one, two = (torch.load(tmp_path / x / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"] for x in "ab")
    assert all(torch.equal(one[k], two[k]) for k in one)

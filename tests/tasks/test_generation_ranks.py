"""Latent diffusion on two processes: shared out it trains as whole, its average too."""

import pytest

from tests.ranks import together
from tests.tasks.helpers import FINGERPRINT, TEXT, fit
from tests.test_ddp import DDP, STEADY, same, weights
from tests.test_sharding import FSDP, watched, without_dropout

pytestmark = pytest.mark.slow

DECODER = {"class_path": "molfusion.decoders.SelfiesDecoder", "init_args": {"dim": 4, "hidden": 8, "embed": 4, "length": 40}}
AUTOENCODER = {
    "class_path": "molfusion.encoders.Autoencoder",
    "init_args": {"encoder": without_dropout(FINGERPRINT), "decoder": DECODER, "hidden": 8},
}


def test_shared_out_as_whole(card, tmp_path):
    settings = {"encoder": AUTOENCODER, "text": without_dropout(TEXT), "dim": 16, "depth": 2, "samples": 1, "steps": 4}
    settings |= {"batch": 4, "epochs": 2}
    together(2, fit, tmp_path / "ddp", card, "Generation", overrides=[STEADY, *DDP], **settings)
    ranks = together(2, watched, tmp_path / "fsdp", card, "Generation", overrides=[STEADY, *FSDP], **settings)
    assert ranks[0][1] == [], "parameters left whole"
    one, two = weights(tmp_path / "ddp"), weights(tmp_path / "fsdp")
    assert one["average.updates"].item() == 4
    assert one["standard.count"].item() > 0
    same(one, two)
    moved = [k for k in one if k.startswith("denoiser.") and one[k].abs().sum() > 0]
    assert moved
    same({k: one[k.replace("denoiser.", "average.module.")] for k in moved}, {k: one[k] for k in moved})


def test_an_autoencoder_shared_out(card, tmp_path):
    """The recurrent decoder keeps its parameters in a list of its own."""
    objective = {"class_path": "molfusion.encoders.Autoencoding", "init_args": {"encoder": AUTOENCODER}}
    for name, strategy in (("ddp", DDP), ("fsdp", FSDP)):
        overrides = [STEADY, *strategy]
        together(2, fit, tmp_path / name, card, "Pretraining", batch=4, epochs=2, objective=objective, overrides=overrides)
    same(weights(tmp_path / "ddp"), weights(tmp_path / "fsdp"))

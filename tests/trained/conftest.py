import contextlib
import io

import pytest

from tests.language.helpers import SIZES
from tests.tasks.helpers import FINGERPRINT, QFORMER, TEXT, fit

LM = {"class_path": "molfusion.language.LanguageModel", "init_args": {"config": SIZES, "train": "full", "length": 64}}


@pytest.fixture(scope="session")
def runs(card, cache, tmp_path_factory):
    """Folder with a run each of two towers, a Q-Former, captioning and a property."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()):
        patch.setenv("MOLFUSION_CACHE", str(cache))
        fit(folder / "towers", card, "Retrieval", encoder=FINGERPRINT, text=TEXT, width=16, epochs=30, lr=1e-2,
            overrides=["trainer.check_val_every_n_epoch=30"])  # fmt: skip
        fit(folder / "queries", card, "Retrieval", encoder=QFORMER, epochs=1)
        fit(folder / "captions", card, "Captioning", encoder=FINGERPRINT, lm=LM, epochs=1, decoding={"max_new_tokens": 12})
        fit(folder / "numbers", card, "Property", encoder=FINGERPRINT, epochs=1)
    return folder

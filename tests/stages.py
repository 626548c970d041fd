"""Latent diffusion in its three stages, one built on the other, on 24 molecules."""

import pytest

from tests.tasks.helpers import FINGERPRINT, TEXT, fit

DECODER = {"class_path": "molfusion.decoders.SelfiesDecoder", "init_args": {"dim": 8, "hidden": 32, "embed": 16, "length": 40}}


def tower(inner, **settings):
    return {"class_path": "molfusion.encoders.Projection", "init_args": {"encoder": inner, "width": 16, **settings}}


def frozen(fragment):
    return {"class_path": "molfusion.encoders.Frozen", "init_args": {"encoder": fragment}}


@pytest.fixture(scope="module")
def stages(card, cache, tmp_path_factory):
    """Folder with the runs `align`, `autoencode` and `diffuse`."""
    folder = tmp_path_factory.mktemp("stages")
    patch = pytest.MonkeyPatch()
    patch.setenv("MOLFUSION_CACHE", str(cache))
    towers = {"encoder": tower(FINGERPRINT, norm=True), "text": tower(TEXT, pool="first")}
    fit(folder / "align", card, "Retrieval", **towers, width=None, learn_temperature=False, epochs=2)
    inner = {"encoder": str(folder / "align" / "encoder.yaml"), "decoder": DECODER, "hidden": 16}
    encoder = {"class_path": "molfusion.encoders.Autoencoder", "init_args": inner}
    objective = {"class_path": "molfusion.encoders.Autoencoding", "init_args": {"encoder": encoder}}
    fit(folder / "autoencode", card, "Pretraining", objective=objective, weights={"kl": 0.1}, epochs=12, lr=1e-2)
    fit(folder / "diffuse", card, "Generation", **built_on(folder), epochs=4)
    patch.undo()
    return folder


def built_on(folder, **settings):
    return {
        "encoder": str(folder / "autoencode" / "encoder.yaml"),
        "text": frozen(str(folder / "align" / "text.yaml")),
        "judge": str(folder / "align" / "encoder.yaml"),
        "dim": 32, "depth": 2, "samples": 2, "steps": 10, **settings,
    }  # fmt: skip

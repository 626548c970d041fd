"""The strategy from its shipped configs: pretrain, export, fine-tune from what was exported."""

import pytest
import yaml

from molfusion import RelationBlending
from molfusion.config import compose
from molfusion.paths import shipped
from molfusion.runner import Run
from tests.encoders.test_moleblend import tiny

PAPER = shipped("experiments") / "papers" / "moleblend" / "tiny"


def test_published_weights_of_its_losses():
    assert RelationBlending(tiny()).weights == {"denoise": 6.0, "direction": 0.5, "spd": 0.1, "path": 0.1}


@pytest.mark.slow
def test_pretrain_then_fine_tune(card, tmp_path):
    data = [("data.card", str(card)), "data.batch_size=8", "trainer.max_epochs=1"]
    first = Run(compose([PAPER / "pretrain.yaml"], data), tmp_path / "pretrain").fit()
    assert first["task"] == "RelationBlending"
    assert {"val/spd", "val/path", "val/direction", "val/denoise", "val/loss"} <= first["metrics"].keys()
    exported = tmp_path / "pretrain" / "encoder.yaml"
    assert yaml.safe_load(exported.read_text())["class_path"] == "molfusion.encoders.restore"
    for config, slot in (("qm9", "model.encoder"), ("moleculenet", "model.encoder.encoder")):
        overrides = [*data, "data.targets=null", (slot, str(exported))]
        result = Run(compose([PAPER / f"{config}.yaml"], overrides), tmp_path / config).fit()
        assert result["encoder"].endswith("MoleBlend" if config == "qm9" else "only_relations(MoleBlend)")
        assert {"test/number/MAE", "test/score"} <= result["metrics"].keys()

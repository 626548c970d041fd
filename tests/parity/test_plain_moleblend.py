"""The implementation that `benchmarks/moleblend.py` measures against passes the golden cases too."""

import pytest
import torch

from benchmarks.plain_moleblend import PlainMoleBlend
from tests.parity.golden import ROOT, Case, close

CASES = sorted(p.parent for name in ("encoder", "pretrain") for p in ROOT.glob(f"moleblend/{name}*/config.json"))
PREFIX = "encoder.molecule_encoder."


def plain(case: Case, heads: bool) -> PlainMoleBlend:
    c = case.config
    model = PlainMoleBlend(c["embed_dim"], c["layers"], c["ffn"], c["heads"], c["K"], c.get("pred_3d_hidden", 256))
    lacking = model.load_state_dict({k.removeprefix(PREFIX): v for k, v in case.weights().items()}, strict=heads)
    assert not lacking.unexpected_keys
    return model


def batch(given):
    return {key.removeprefix("batch_"): value for key, value in given.items() if key.startswith("batch_")}


@pytest.mark.parametrize("folder", CASES or [None], ids=lambda p: p.name if p else "none")
def test_golden(folder):
    if folder is None:
        pytest.skip(f"no golden cases of moleblend under {ROOT}")
    case = Case(folder)
    if case.config.get("sandwich_ln"):
        pytest.skip("post-LN only")
    given, expected = case.arrays("inputs"), case.arrays("outputs")
    blend = (given["in_blend_assignment"], given["in_atom_blend_is3d"])
    if "out_states_sum" in expected:
        model = plain(case, heads=False)
        for name, chosen in (("sum", None), ("blend", blend)):
            x, vectors = model(batch(given), chosen)
            close(x, expected[f"out_states_{name}"][-1], f"states, {name}")
            close(vectors, expected[f"out_atom_output_{name}"], f"vectors, {name}")
        return
    model = plain(case, heads=True)
    noise = given["in_noise"] * (given["batch_pos"] != 0).any(-1, keepdim=True)
    losses = model.losses(batch(given), noise, blend)
    factors = case.config["loss_factors"]
    for name, found in losses.items():
        if not (name == "denoise" and case.config["sum_loss"]):
            close(found, expected[f"out_loss_{name}"], name)
    total = sum(factors[{"3d": "d3"}.get(name, name)] * value for name, value in losses.items())
    total.backward()
    if case.config["sum_loss"]:
        return
    gradients = {PREFIX + name: p.grad for name, p in model.named_parameters()}
    for name, norm in zip(expected["out_grad_names"], expected["out_grad_norm"], strict=True):
        if norm >= 0 and not str(name).endswith("k_proj.bias"):
            close(torch.as_tensor(gradients[str(name)]).norm(), norm, f"gradient of {name}", 2e-4)

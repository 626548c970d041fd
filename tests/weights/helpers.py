"""Round trips: a tiny encoder's weights under their published names, and back through the rules."""

import re

import pytest
import torch

from molfusion.weights.keys import convert


def published(model, names):
    """The model's weights under the published names given for ours; each must name one."""
    ours = model.state_dict()
    assert set(names) == set(ours), f"not named: {set(ours) ^ set(names)}"
    assert len(set(names.values())) == len(names)
    torch.manual_seed(0)
    return {names[key]: torch.randn_like(v) if v.is_floating_point() else v.clone() + 3 for key, v in ours.items()}


def check_round_trip(model, names, rules, extra=()):
    """Every tensor arrives under its name, unchanged; `extra` keys are known and left out."""
    state = published(model, names)
    made = convert({**state, **{key: torch.zeros(1) for key in extra}}, rules, "synthetic")
    assert sorted(made.left_out) == sorted(extra)
    assert made.renamed == {theirs: ours for ours, theirs in names.items()}
    model.load_state_dict(made.state)
    for ours, tensor in model.state_dict().items():
        assert torch.equal(tensor.flatten(), state[names[ours]].flatten()), ours


def check_complete(model, names, rules):
    """Without any one of its keys the checkpoint does not load, and the error names what lacks."""
    state = published(model, names)
    # torch itself does without batch norm's counter: old checkpoints lack it
    needed = [(ours, theirs) for ours, theirs in names.items() if not ours.endswith("num_batches_tracked")]
    for ours, theirs in needed[:: max(1, len(needed) // 8)]:
        made = convert({k: v for k, v in state.items() if k != theirs}, rules, "synthetic")
        with pytest.raises(RuntimeError, match=f'Missing key.*"{re.escape(ours)}"'):
            model.load_state_dict(made.state)

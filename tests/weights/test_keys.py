"""Renaming by rules: every published key is accounted for."""

import pytest
import torch

from molfusion.weights.keys import Rule, convert, under

RULES = [
    Rule(r"layer\.(\d+)\.(weight|bias)", r"blocks.\1.\2"),
    Rule(r"table\.weight", "table", squeeze=True),
    Rule(r"head\..+", None),
    Rule(r"layer\..+", "never"),  # the first rule that fits is taken
]


def state(*keys):
    return {key: torch.full((1, 3), float(i)) for i, key in enumerate(keys)}


def test_every_key_is_renamed_or_left_out():
    published = state("layer.0.weight", "layer.12.bias", "table.weight", "head.out.weight")
    made = convert(published, RULES, "toy")
    assert made.renamed == {
        "layer.0.weight": "blocks.0.weight", "layer.12.bias": "blocks.12.bias", "table.weight": "table",
    }  # fmt: skip
    assert made.left_out == ["head.out.weight"]
    assert set(made.state) == set(made.renamed.values())
    assert made.state["blocks.12.bias"] is published["layer.12.bias"]
    assert made.state["table"].tolist() == [2.0, 2.0, 2.0], "squeezed"
    assert made.state["blocks.0.weight"].shape == (1, 3), "not squeezed"


def test_unknown_keys_are_an_error_that_names_them():
    with pytest.raises(ValueError, match=r"toy\.pt: 2 unknown keys, such as other, xlayer\.0\.weight"):
        convert(state("layer.0.weight", "xlayer.0.weight", "other"), RULES, "toy.pt")


def test_many_unknown_keys_are_counted_and_some_named():
    with pytest.raises(ValueError, match=r"6 unknown keys, such as k0, k1, k2, k3$"):
        convert(state(*(f"k{i}" for i in range(6))), RULES, "toy")


def test_a_rule_is_the_whole_key():
    """A pattern that matches the beginning only is not a match."""
    with pytest.raises(ValueError, match="1 unknown keys"):
        convert(state("table.weight_v"), RULES, "toy")


def test_two_keys_for_one_of_ours_are_an_error():
    with pytest.raises(ValueError, match=r"two keys lead to 'blocks\.0\.w', the second is 'b\.0\.w'"):
        convert(state("a.0.w", "b.0.w"), [Rule(r"[ab]\.0\.w", "blocks.0.w")], "toy")


def test_a_missing_key_is_an_error_that_names_it_when_loaded():
    """`convert` renames what is there; strict loading says what is not."""
    model = torch.nn.Linear(3, 1)
    made = convert({"w": torch.zeros(1, 3)}, [Rule("w", "weight"), Rule("b", "bias")], "toy")
    with pytest.raises(RuntimeError, match=r'Missing key\(s\) in state_dict: "bias"'):
        model.load_state_dict(made.state)


def test_under_a_prefix():
    made = convert(state("module.layer.3.bias", "module.head.x"), under(RULES, r"(?:module\.)?", "encoder."), "toy")
    assert made.renamed == {"module.layer.3.bias": "encoder.blocks.3.bias"}
    assert made.left_out == ["module.head.x"]
    assert convert(state("layer.3.bias"), under(RULES, r"(?:module\.)?", ""), "toy").renamed == {
        "layer.3.bias": "blocks.3.bias"
    }
    with pytest.raises(ValueError, match="unknown"):
        convert(state("other.layer.3.bias"), under(RULES, r"module\.", ""), "toy")


def test_nothing_in_nothing_out():
    made = convert({}, RULES, "toy")
    assert (made.state, made.renamed, made.left_out) == ({}, {}, [])

"""MoleBLEND: names as in the fairseq checkpoints' `model`, pretrained and fine-tuned."""

import pytest
import torch

from molfusion.batch import Target
from molfusion.encoders import MoleBlend, MoleBlendPretraining
from molfusion.tasks import Property
from molfusion.weights import moleblend as weights

DIM, HEADS, LAYERS, KERNELS, HIDDEN = 8, 2, 2, 3, 6
STEM = "encoder.molecule_encoder."


def model(**changes):
    return MoleBlend(DIM, LAYERS, 12, HEADS, KERNELS, **changes)


def objective():
    return MoleBlendPretraining(model(), direction_hidden=HIDDEN, compat=True)


def linear(name, out, into):
    return {f"{name}.weight": torch.randn(out, into), f"{name}.bias": torch.randn(out)}


def norm(name, width=DIM):
    return {f"{name}.weight": torch.randn(width), f"{name}.bias": torch.randn(width)}


def backbone(sandwich=False):
    """Every key of the published backbone, in its shapes."""
    torch.manual_seed(0)
    out = {
        "atom_feature.atom_encoder.weight": torch.randn(4609, DIM),
        "atom_feature.in_degree_encoder.weight": torch.randn(512, DIM),
        "atom_feature.out_degree_encoder.weight": torch.randn(512, DIM),
        "atom_feature.graph_token.weight": torch.randn(1, DIM),
        "molecule_attn_bias.edge_encoder.weight": torch.randn(1537, HEADS),
        "molecule_attn_bias.edge_dis_encoder.weight": torch.randn(128 * HEADS * HEADS, 1),
        "molecule_attn_bias.spatial_pos_encoder.weight": torch.randn(512, HEADS),
        "molecule_attn_bias.graph_token_virtual_distance.weight": torch.randn(1, HEADS),
        "molecule_3d_bias.gbf.means.weight": torch.randn(1, KERNELS),
        "molecule_3d_bias.gbf.stds.weight": torch.randn(1, KERNELS),
        "molecule_3d_bias.gbf.mul.weight": torch.randn(1536, 1),
        "molecule_3d_bias.gbf.bias.weight": torch.randn(1536, 1),
        **linear("molecule_3d_bias.gbf_proj.layer1", KERNELS, KERNELS),
        **linear("molecule_3d_bias.gbf_proj.layer2", HEADS, KERNELS),
        **linear("molecule_3d_bias.edge_proj", DIM, KERNELS),
        **norm("emb_layer_norm"),
    }
    for i in range(LAYERS):
        layer = f"layers.{i}."
        for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
            out |= linear(f"{layer}self_attn.{part}", DIM, DIM)
        out |= linear(f"{layer}fc1", 12, DIM) | linear(f"{layer}fc2", DIM, 12)
        names = ["self_attn_layer_norm", "final_layer_norm"]
        for name in names + [n.replace("layer_norm", "sandwich_layer_norm") for n in names] * sandwich:
            out |= norm(layer + name)
    return {STEM + k: v for k, v in out.items()}


def heads():
    out = {}
    for part in ("q_proj", "k_proj", "v_proj"):
        out |= linear(f"atom_proc.{part}", DIM, DIM)
    for i in (1, 2, 3):
        out |= linear(f"atom_proc.force_proj{i}", 1, DIM) | linear(f"blend_3d_pred_head.force_proj{i}", 1, HIDDEN)
    outputs = {"spd": ("linear", 11), "edge": ("linear_map_feature", 120), "3d": ("linear", HIDDEN)}
    for name, (last, width) in outputs.items():
        head = f"blend_{name}_pred_head."
        for part in ("row", "column"):
            out |= linear(f"{head}transform_n2_head.{part}_head", 32, DIM)
            out |= norm(f"{head}transform_n2_head.{part}_LayerNorm", 32)
        out |= linear(head + last, width, 1024)
    return {STEM + k: v for k, v in out.items()}


LM_HEAD = {
    **linear("encoder.lm_head_transform_weight", DIM, DIM), **norm("encoder.layer_norm"),
    "encoder.embed_out.weight": torch.zeros(1, DIM), "encoder.lm_output_learned_bias": torch.zeros(1),
}  # fmt: skip


def test_every_key_of_a_pretrained_checkpoint_arrives():
    published = {**backbone(), **heads()}
    made = weights.pretraining_state({**published, **LM_HEAD}, "synthetic")
    assert sorted(made.left_out) == sorted(LM_HEAD)
    assert set(made.renamed) == set(published)
    assert set(made.renamed.values()) == set(made.state)
    target = objective()
    target.load_state_dict(made.state)
    hop = published[f"{STEM}molecule_attn_bias.edge_dis_encoder.weight"].reshape(128, HEADS, HEADS)
    assert torch.equal(target.encoder.path.hop, hop[:5])
    for i in range(LAYERS):
        parts = [published[f"{STEM}layers.{i}.self_attn.{x}_proj.weight"] for x in "qkv"]
        assert torch.equal(target.encoder.layers[i].qkv.weight, torch.cat(parts))
    forces = [published[f"{STEM}atom_proc.force_proj{i}.weight"] for i in (1, 2, 3)]
    assert torch.equal(target.heads["denoise"].out.weight, torch.cat(forces))
    names = list(made.renamed.values())
    whole = [ours for ours in names if names.count(ours) == 1]
    assert len(whole) > 50
    for theirs, ours in made.renamed.items():
        if ours in whole and not ours.endswith("path.hop"):
            assert torch.equal(target.state_dict()[ours].flatten(), published[theirs].flatten()), ours


def test_the_encoder_alone():
    made = weights.encoder_state({**backbone(), **heads(), **LM_HEAD}, "synthetic")
    assert sorted(made.left_out) == sorted([*heads(), *LM_HEAD])
    model().load_state_dict(made.state)
    bare = {k.removeprefix(STEM): v for k, v in backbone().items()}
    assert weights.encoder_state(bare, "bare").state.keys() == made.state.keys()


def test_sandwich():
    model(sandwich=True).load_state_dict(weights.encoder_state(backbone(sandwich=True), "synthetic").state)


def test_legacy_attention_weights():
    published = backbone()
    for i in range(LAYERS):
        for part in ("weight", "bias"):
            rows = [published.pop(f"{STEM}layers.{i}.self_attn.{x}_proj.{part}") for x in "qkv"]
            published[f"{STEM}layers.{i}.self_attn.in_proj_{part}"] = torch.cat(rows)
    legacy, now = (weights.encoder_state(p, "synthetic").state for p in (published, backbone()))
    assert legacy.keys() == now.keys()
    assert all(torch.equal(legacy[k], now[k]) for k in now)


def test_fine_tuned_with_its_head():
    head = {**linear("encoder.proj_out.dense", DIM, DIM), **linear("encoder.proj_out.out_proj", 4, DIM)}
    published = {**backbone(), **head, **LM_HEAD}
    made = weights.finetuned_state(published, "synthetic").state
    task = Property(model(), hidden=DIM, readout="token", norm=False)
    task.targets = tuple(Target(str(i)) for i in range(4))
    task.configure_model()
    task.load_state_dict(made)
    assert torch.equal(task.head[3].weight, published["encoder.proj_out.out_proj.weight"])


@pytest.mark.parametrize("key", [
    "layers.1.self_attn.k_proj.weight", "molecule_3d_bias.gbf.stds.weight", "layers.0.fc2.bias",
    "molecule_attn_bias.edge_dis_encoder.weight",
])  # fmt: skip
def test_without_any_one_key_it_does_not_load(key):
    published = backbone()
    del published[STEM + key]
    with pytest.raises((RuntimeError, ValueError), match=r"Missing key|made of three tensors, of which part 2 is"):
        model().load_state_dict(weights.encoder_state(published, "synthetic").state)


def test_another_networks_keys_are_refused():
    with pytest.raises(ValueError, match=r"unknown keys, such as encoder\.sentence_encoder\.embed_tokens\.weight"):
        weights.encoder_state({**backbone(), "encoder.sentence_encoder.embed_tokens.weight": torch.zeros(1)}, "roberta")


@pytest.mark.parametrize("changes", [{}, {"relations": ["spd", "path"]}, {"relations": ["3d"]}, {"sandwich": True}], ids=str)
def test_settings_are_those_of_the_model(changes):
    made = weights.settings(model(**changes).state_dict())
    MoleBlend(**made).load_state_dict(model(**changes).state_dict())
    assert (made["dim"], made["layers"], made["ffn"], made["heads"]) == (DIM, LAYERS, 12, HEADS)

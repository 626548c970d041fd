"""`molfusion import`: synthetic checkpoints in the published layouts, to encoders that a config can name."""

from argparse import Namespace
from pathlib import Path

import pytest
import torch
import yaml
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import BertConfig

from benchmarks.plain_hier import PlainDecoder
from molfusion.build import build
from molfusion.chem.motifs_vocabulary import ATOM_INDEX, load_vocabulary
from molfusion.cli import main
from molfusion.encoders import GIN, Projection, TextEncoder, UniMol
from molfusion.fusion import QFormer
from molfusion.weights.layouts import LAYOUTS
from tests.motifs import write_vocabulary
from tests.tasks.helpers import config
from tests.weights import test_deepmolm
from tests.weights.helpers import published
from tests.weights.test_gin import names as gin_names
from tests.weights.test_moleblend import STEM, backbone
from tests.weights.test_threedmolm import stage1_names
from tests.weights.test_unimol import names as unimol_names

UNIMOL = {"dim": 8, "layers": 2, "ffn": 12, "heads": 2, "kernels": 3}


def unimol():
    """What mol_pre_no_h_220816.pt holds, a head of pretraining and the settings of Uni-Core included."""
    state = published(UniMol(**UNIMOL), unimol_names())
    for table in ("means", "stds"):
        state[f"gbf.{table}.weight"] = state[f"gbf.{table}.weight"].reshape(1, -1)
    return {"model": {**state, "lm_head.bias": torch.zeros(31)}, "args": Namespace(arch="unimol_base", seed=1)}


def gin(old=False):
    state = published(GIN(dim=8, layers=2), gin_names())
    return {k: v for k, v in state.items() if not (old and k.endswith("num_batches_tracked"))}


def told(capsys, *words, code=0):
    assert main(["import", *map(str, words)]) == code
    found = capsys.readouterr()
    return found.out if code == 0 else found.err


def imported(card, folder):
    """The encoder that a config gets from what was written."""
    return build(config(card, "Property", encoder=str(folder / "encoder.yaml")), folder / "run").task.encoder


def test_unimol(card, tmp_path, capsys):
    file = tmp_path / "mol_pre.pt"
    torch.save(unimol(), file)
    out = told(capsys, "unimol", file, "--out", tmp_path / "a")
    assert "renamed   embed_tokens.weight -> embed.weight  31×8" in out
    assert "left out  lm_head.bias  31" in out
    state = unimol()["model"]
    assert f"{len(state) - 1} renamed, 1 left out, 0 missing" in out
    encoder = imported(card, tmp_path / "a")
    assert isinstance(encoder, UniMol)
    assert not encoder.view.hydrogens
    assert torch.equal(encoder.layers[1].down.weight, state["encoder.layers.1.fc2.weight"])
    assert torch.equal(encoder.gaussian.means, state["gbf.means.weight"][0])
    tree = yaml.safe_load((tmp_path / "a" / "encoder.yaml").read_text())
    assert tree["init_args"]["encoder"] == {"class_path": "molfusion.encoders.UniMol", "init_args": UNIMOL}
    with safe_open(tmp_path / "a" / "encoder.safetensors", "pt") as found:
        noted = found.metadata()
    assert (noted["layout"], noted["file"], noted["class"]) == ("unimol", "mol_pre.pt", "UniMol")


def test_settings_of_the_encoder_are_set_beside_the_file(card, tmp_path, capsys):
    torch.save(unimol(), tmp_path / "x.pt")
    told(capsys, "unimol-h", tmp_path / "x.pt", "--out", tmp_path / "a", "--encoder.max_atoms", "40")
    encoder = imported(card, tmp_path / "a")
    assert encoder.view.hydrogens
    assert encoder.view.max_atoms == 40
    words = ["unimol", tmp_path / "x.pt", "--out", tmp_path / "b", "--max_atoms", "4"]
    assert "write --encoder.NAME" in told(capsys, *words, code=2)


@pytest.mark.parametrize("old", [False, True])
def test_gin(old, card, tmp_path, capsys):
    torch.save(gin(old), tmp_path / "x.pth")
    out = told(capsys, "gin", tmp_path / "x.pth", "--out", tmp_path / "a")
    assert ("added     norms.0.num_batches_tracked" in out) == old
    encoder = imported(card, tmp_path / "a")
    assert torch.equal(encoder.layers[0].mlp[2].bias, gin()["gnns.0.mlp.2.bias"])


def test_half_precision_is_widened(card, tmp_path, capsys):
    save_file({k: v.bfloat16() if v.is_floating_point() else v for k, v in gin().items()}, tmp_path / "x.safetensors")
    told(capsys, "gin", tmp_path / "x.safetensors", "--out", tmp_path / "a")
    found = imported(card, tmp_path / "a").element.weight
    assert found.dtype == torch.float32
    assert torch.equal(found, gin()["x_embedding1.weight"].bfloat16().float())


@pytest.mark.parametrize(
    ("key", "kind"), [("gnns.0.linear.weight", "GCN or GraphSAGE"), ("gnns.0.att", "GAT")],
)  # fmt: skip
def test_other_networks_of_pretrain_gnns_are_refused(key, kind, tmp_path, capsys):
    torch.save({"x_embedding1.weight": torch.zeros(120, 8), key: torch.zeros(2)}, tmp_path / "x.pth")
    error = told(capsys, "gin", tmp_path / "x.pth", "--out", tmp_path / "a", code=2)
    assert f"x.pth is a {kind} of pretrain-gnns and no GIN" in error
    assert not (tmp_path / "a").exists()


def test_moleblend(card, tmp_path, capsys):
    torch.save({"model": backbone(sandwich=True), "args": Namespace()}, tmp_path / "x.pt")
    told(capsys, "moleblend", tmp_path / "x.pt", "--out", tmp_path / "a")
    encoder = imported(card, tmp_path / "a")
    assert torch.equal(encoder.atom.weight, backbone(sandwich=True)[f"{STEM}atom_feature.atom_encoder.weight"])
    assert (encoder.dim, encoder.heads, len(encoder.layers)) == (8, 2, 2)


# -- 3D-MoLM, whose checkpoints leave Uni-Mol out ---------------------------------------------------------


def stage1(whole=False):
    model = QFormer(UniMol(**UNIMOL), queries=2, dim=64, layers=3, heads=1, ffn=24, cross_every=2, width=6)
    state = published(model, stage1_names("blip2qformer."))
    state["blip2qformer.Qformer.cls.predictions.decoder.weight"] = torch.zeros(2, 2)
    return {k: v for k, v in state.items() if whole or "graph_encoder" not in k}


TOKENIZER = ("--encoder.tokenizer", "molfusion", "--encoder.length", "32")


def test_the_qformer_with_its_unimol(card, tmp_path, capsys):
    torch.save(unimol(), tmp_path / "unimol.pt")
    torch.save({"state_dict": stage1(), "hyper_parameters": {"lr": 1e-4}}, tmp_path / "stage1.ckpt")
    told(capsys, "unimol", tmp_path / "unimol.pt", "--out", tmp_path / "u")
    words = ["3d-molm-stage1", tmp_path / "stage1.ckpt", "--out", tmp_path / "q", *TOKENIZER]
    assert "leaves out the part 'encoder.encoder.' of '3d-molm-stage1': import that first" in told(capsys, *words, code=2)
    assert not (tmp_path / "q").exists()
    out = told(capsys, *words, "--part", tmp_path / "u" / "encoder.yaml")
    assert "from part encoder.encoder.embed.weight" in out
    assert " 0 missing" in out
    (tmp_path / "u" / "encoder.safetensors").unlink()  # one file holds all
    encoder = imported(card, tmp_path / "q")
    assert torch.equal(encoder.query, stage1()["blip2qformer.query_tokens"])
    assert torch.equal(encoder.encoder.encoder.embed.weight, unimol()["model"]["embed_tokens.weight"])
    assert encoder.mask == "legacy_inverted"
    assert [layer.cross is not None for layer in encoder.bert.layers] == [True, False, True]


def test_a_dump_with_unimol_needs_no_part(card, tmp_path, capsys):
    torch.save(stage1(whole=True), tmp_path / "x.ckpt")
    told(capsys, "3d-molm-stage1", tmp_path / "x.ckpt", "--out", tmp_path / "q", *TOKENIZER)
    found = load_file(tmp_path / "q" / "encoder.safetensors")["encoder.encoder.embed.weight"]
    assert torch.equal(found, stage1(whole=True)["blip2qformer.graph_encoder.embed_tokens.weight"])
    words = ["3d-molm-stage1", tmp_path / "x.ckpt", "--out", tmp_path / "r", "--part", tmp_path / "q" / "encoder.yaml"]
    assert "has all parts of '3d-molm-stage1' itself" in told(capsys, *words, code=2)


def test_a_part_of_another_kind_is_refused(tmp_path, capsys):
    torch.save(gin(), tmp_path / "gin.pth")
    torch.save(stage1(), tmp_path / "x.ckpt")
    told(capsys, "gin", tmp_path / "gin.pth", "--out", tmp_path / "g")
    words = ["3d-molm-stage1", tmp_path / "x.ckpt", "--out", tmp_path / "q", *TOKENIZER]
    told(capsys, *words, "--part", tmp_path / "g" / "encoder.yaml", code=2)
    assert "expected an encoder with its weights" in told(
        capsys, *words, "--part", "experiments/encoders/tiny/unimol.yaml", code=2
    )
    assert not (tmp_path / "q").exists()


# -- mistakes ------------------------------------------------------------------------------------------------


def test_a_key_that_lacks_is_named_and_nothing_is_written(tmp_path, capsys):
    state = unimol()["model"]
    del state["encoder.layers.1.fc1.bias"]
    torch.save(state, tmp_path / "x.pt")
    assert main(["import", "unimol", str(tmp_path / "x.pt"), "--out", str(tmp_path / "a")]) == 2
    found = capsys.readouterr()
    assert "missing   layers.1.up.bias  12" in found.out
    assert "does not fit this encoder: it lacks layers.1.up.bias" in found.err
    assert len(found.err.strip().splitlines()) == 1
    assert not (tmp_path / "a").exists()


def test_mistakes_are_one_line_and_code_2(tmp_path, capsys):
    torch.save(gin(), tmp_path / "gin.pth")
    for words, expected in [
        (["unimo", "x", "--out", "y"], "no layout 'unimo'; did you mean 'unimol'?"),
        (["xyz", "x", "--out", "y"], f"no layout 'xyz'; there are: {', '.join(LAYOUTS)}"),
        (["unimol"], "molfusion import unimol FILE --out FOLDER"),
        (["unimol", tmp_path / "no.pt", "--out", tmp_path / "a"], "no checkpoint"),
        (["unimol", tmp_path / "gin.pth", "--out", tmp_path / "a"], "not the layout 'unimol' (Uni-Mol without hydrogens"),
        (["gin", tmp_path / "gin.pth", "--out", tmp_path / "a", "--part", "x.yaml"], "has all parts of 'gin' itself"),
    ]:
        error = told(capsys, *words, code=2)
        assert expected in error
        assert len(error.strip().splitlines()) == 1, error


def test_layouts_are_listed(capsys):
    out = told(capsys)
    assert all(name in out for name in LAYOUTS)


# -- the others ----------------------------------------------------------------------------------------------


def test_the_graph_tower_of_3m_diffusion(card, tmp_path, capsys):
    model = Projection(GIN(dim=8, layers=2), 6, norm=True)
    names = {f"encoder.{us}": f"blip2qformer.graph_encoder.{them}" for us, them in gin_names().items()}
    for us, them in {"norm": "ln_graph", "head": "graph_proj"}.items():
        names |= {f"{us}.{part}": f"blip2qformer.{them}.{part}" for part in ("weight", "bias")}
    torch.save({"state_dict": published(model, names) | {"blip2qformer.text_proj.weight": torch.zeros(1)}}, tmp_path / "x.ckpt")
    told(capsys, "3m-diffusion-graph", tmp_path / "x.ckpt", "--out", tmp_path / "a")
    encoder = imported(card, tmp_path / "a")
    assert torch.equal(encoder.head.weight, published(model, names)["blip2qformer.graph_proj.weight"])
    assert encoder.encoder.layers[0].self_loop == 0  # as they run it: a self loop looks like a single bond


def bert_folder(folder, words=12):
    """A BERT's config and tokenizer, as a hub keeps them."""
    folder.mkdir()
    sizes = {"vocab_size": words, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 12}
    BertConfig(**sizes, max_position_embeddings=16).save_pretrained(folder)
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{i}" for i in range(words - 5))]
    (folder / "vocab.txt").write_text("\n".join(names))
    return str(folder)


def test_the_text_tower_of_3m_diffusion(card, tmp_path, capsys):
    name = bert_folder(tmp_path / "bert")
    model = Projection(TextEncoder(name, length=16, pretrained=False), 6, pool="first")
    bert = "blip2qformer.Qformer.bert."
    state = {k.replace("encoder.model.", bert, 1).replace("head.", "blip2qformer.text_proj.", 1): torch.randn_like(v)
             for k, v in model.state_dict().items() if "token_type" not in k}  # fmt: skip
    state[f"{bert}encoder.layer.0.crossattention.self.key.weight"] = torch.zeros(1)
    torch.save({"state_dict": state}, tmp_path / "x.ckpt")
    told(capsys, "3m-diffusion-text", tmp_path / "x.ckpt", "--out", tmp_path / "a", "--encoder.encoder.name", name)
    encoder = imported(card, tmp_path / "a")
    assert torch.equal(encoder.head.weight, state["blip2qformer.text_proj.weight"])
    assert not encoder.encoder.model.embeddings.token_type_embeddings.weight.any()


def test_the_autoencoder_of_3m_diffusion(card, tmp_path, capsys):
    motifs = write_vocabulary(tmp_path, compat=True)
    inner = PlainDecoder(len(ATOM_INDEX), load_vocabulary(Path(motifs)), 6, 12, 20).state_dict()
    tower = Projection(GIN(dim=8, layers=2), 10, norm=True)
    rest = {"hidden": nn.Linear(10, 5), "mean": nn.Linear(5, 6), "spread": nn.Linear(5, 6)}
    state = {f"decoder.{k}": v for k, v in inner.items()}
    state |= published(tower.encoder, {us: f"encoder.{them}" for us, them in gin_names().items()})
    theirs = {"hidden": "new_graph_proj", "mean": "R_mean", "spread": "R_var"}
    for us, them in ((tower.norm, "ln_graph"), (tower.head, "graph_proj"), *((rest[k], v) for k, v in theirs.items())):
        state |= {f"{them}.{part}": value for part, value in us.state_dict().items()}
    torch.save(state, tmp_path / "model.49")
    words = ["3m-diffusion-autoencoder", tmp_path / "model.49", "--out", tmp_path / "a"]
    told(capsys, *words, "--encoder.decoder.vocabulary", motifs)
    encoder = imported(card, tmp_path / "a")
    assert (encoder.dim, encoder.compat, encoder.decoder.words.compat) == (6, True, True)
    assert torch.equal(encoder.mean.weight, rest["mean"].weight)
    assert torch.equal(encoder.decoder.network.start.weight, inner["W_root.weight"])
    assert "vocabulary" in told(capsys, *words, code=2)


TOWERS = [
    "--encoder.image.width", "16", "--encoder.image.height", "16", "--encoder.image.whole", "16", "--encoder.image.tile", "16",
    "--encoder.crops", '"off"',
    "--encoder.local", "{dim: 4, layers: 2, heads: 2, patch: 4, window: 2, everywhere: [1], channels: [4, 4, 4]}",
    "--encoder.globally", "{layers: 2, heads: 2, ffn: 8, side: 1}",
]  # fmt: skip


def test_deepseeks_towers_and_deepmolms_fusion_over_them(card, tmp_path, capsys):
    state = published(test_deepmolm.encoder(), test_deepmolm.names())
    save_file(state, tmp_path / "ocr.safetensors")
    told(capsys, "deepseek-ocr", tmp_path / "ocr.safetensors", "--out", tmp_path / "ocr", *TOWERS)
    made = test_deepmolm.fusion()
    own = published(made, test_deepmolm.KINDS["attention"])
    torch.save(own, tmp_path / "projector.bin")
    words = ["deepmolm", tmp_path / "projector.bin", "--out", tmp_path / "a", "--part", tmp_path / "ocr" / "encoder.yaml"]
    bits = made.context.table.weight.shape[0] - 1
    told(capsys, *words, "--encoder.context.shells.bits", bits, "--encoder.heads", made.layers[0].attention.num_heads)
    encoder = imported(card, tmp_path / "a")
    assert torch.equal(encoder.context.table.weight, own["molecule_embed.weight"])
    assert torch.equal(encoder.query.encoder.clip.cls, state["model.vision_model.embeddings.class_embedding"])

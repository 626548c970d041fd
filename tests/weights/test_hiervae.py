"""Published names of the hierarchical decoder and encoder."""

import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from benchmarks.plain_hier import PlainDecoder
from molfusion.chem.motifs_vocabulary import ATOM_INDEX, load_vocabulary
from molfusion.cli import main
from molfusion.decoders import HierDecoder
from molfusion.encoders import GIN
from molfusion.weights import hiervae
from molfusion.weights.keys import convert
from tests.motifs import write_vocabulary
from tests.weights.helpers import published
from tests.weights.test_gin import names as gin_names


def test_every_key_of_the_decoder(tmp_path):
    path = write_vocabulary(tmp_path, compat=True)
    words = load_vocabulary(Path(path))
    published = PlainDecoder(len(ATOM_INDEX), words, 6, 12, 20).state_dict()
    published["rnn_cell.W.0.bias"] = published["hmpn.tree_encoder.rnn.W.0.bias"]
    published["E_assm.0.weight"] = published["hmpn.E_i.0.weight"]
    converted = convert(published, hiervae.DECODER_RULES, "plain")
    assert sorted(converted.left_out) == ["E_assm.0.weight", "rnn_cell.W.0.bias"]
    model = HierDecoder(6, 20, 12, path, compat=True)
    model.load_state_dict(converted.state)
    assert torch.equal(model.network.pair_lstm.forget.weight, published["hmpn.inter_encoder.rnn.W_f.0.weight"])
    inside = convert({f"decoder.{k}": v for k, v in published.items()}, hiervae.IN_AUTOENCODER, "plain")
    assert inside.state.keys() == converted.state.keys()


@pytest.mark.slow
def test_the_whole_autoencoder_is_imported(tmp_path, capsys):
    """`molfusion vocabulary --released`, then `molfusion import`, on a checkpoint of random numbers."""
    lines = sorted(f"{motif} {attach}" for motif, attach in load_vocabulary(Path(write_vocabulary(tmp_path, True))).pairs)
    (tmp_path / "vocab.txt").write_text("\n".join(lines))
    words = tmp_path / "motifs.json"
    assert main(["vocabulary", str(tmp_path / "vocab.txt"), "--released", "--out", str(words)]) == 0
    gin = published(GIN(dim=8, layers=2), gin_names())
    state = {f"encoder.{key}": value for key, value in gin.items()}
    for name, (out, width) in {"graph_proj": (6, 8), "new_graph_proj": (20, 6), "R_mean": (4, 20), "R_var": (4, 20)}.items():
        state |= {f"{name}.weight": torch.randn(out, width), f"{name}.bias": torch.randn(out)}
    state |= {"ln_graph.weight": torch.ones(8), "ln_graph.bias": torch.zeros(8)}
    decoder = PlainDecoder(len(ATOM_INDEX), load_vocabulary(words), 4, 12, 20).state_dict()
    torch.save(state | {f"decoder.{key}": value for key, value in decoder.items()}, tmp_path / "model.49")
    folder = tmp_path / "imported"
    layout = ["import", "3m-diffusion-autoencoder", str(tmp_path / "model.49"), "--out", str(folder)]
    assert main([*layout, "--encoder.decoder.vocabulary", str(words)]) == 0, capsys.readouterr().err
    found = load_file(folder / "encoder.safetensors")
    assert torch.equal(found["decoder.network.assembly.weight"], decoder["W_assm.weight"])
    assert torch.equal(found["encoder.head.weight"], state["graph_proj.weight"])


def test_unknown_keys_are_errors():
    with pytest.raises(ValueError, match=re.escape("hmpn.W_x.weight")):
        convert({"hmpn.W_x.weight": torch.zeros(1)}, hiervae.DECODER_RULES, "other")

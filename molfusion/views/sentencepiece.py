"""SentencePiece models of the BPE kind (Llama's `tokenizer.model`) as `tokenizers.Tokenizer`."""

from __future__ import annotations

from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers

_SPACE = "▁"
_CONTROL, _UNKNOWN = 3, 2  # kinds of pieces
_BPE = 2  # kind of model


def read_sentencepiece(path: Path) -> Tokenizer:
    """The tokenizer in `path`, with a space before each stretch of text between special tokens (Llama's `legacy`).

    Raises:
        ValueError: not such a file, or a model of another kind than BPE.
    """
    from transformers.convert_slow_tokenizer import generate_merges, import_protobuf

    model = import_protobuf().ModelProto()
    try:
        model.ParseFromString(path.read_bytes())
    except Exception as error:
        raise ValueError(f"{path} is no SentencePiece model: {error}") from error
    if model.trainer_spec.model_type != _BPE:
        raise ValueError(f"{path}: SentencePiece model of kind {model.trainer_spec.model_type}, expected BPE ({_BPE})")
    pieces = model.pieces
    vocab = {p.piece: i for i, p in enumerate(pieces)}
    scores = {p.piece: p.score for p in pieces}
    unknown = next(p.piece for p in pieces if p.type == _UNKNOWN)
    byte_fallback = model.trainer_spec.byte_fallback
    specials = [p.piece for p in pieces if p.type in {_CONTROL, _UNKNOWN}]
    merges = generate_merges(vocab, scores, skip_tokens=specials)
    tokenizer = Tokenizer(models.BPE(vocab, merges, unk_token=unknown, fuse_unk=True, byte_fallback=byte_fallback))
    prepend = [normalizers.Prepend(_SPACE)] if model.normalizer_spec.add_dummy_prefix else []
    tokenizer.normalizer = normalizers.Sequence([*prepend, normalizers.Replace(" ", _SPACE)])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace(_SPACE, " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.add_special_tokens([AddedToken(piece, normalized=False, special=True) for piece in specials])
    return tokenizer

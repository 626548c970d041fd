"""The WordPiece vocabulary that ships with molfusion, learned from captions."""

from __future__ import annotations

from collections.abc import Sequence

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

_SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
_PRINTABLE = [chr(c) for c in range(33, 127)]


def train_tokenizer(texts: Sequence[str], size: int = 1000) -> Tokenizer:
    """A cased WordPiece vocabulary with BERT's special tokens ([PAD] is 0); the same texts give the same one."""
    # Every printable ASCII character is known, at the start of a word and (letters and digits; the rest splits words)
    # inside it, so that no such word of another corpus is [UNK]. All are given, in this order: those the trainer meets
    # by itself it numbers in an order that differs between processes, and it breaks ties by number.
    given = [*_SPECIALS, *_PRINTABLE, *(f"##{c}" for c in _PRINTABLE if c.isalnum())]
    learner = _word_pieces({"[UNK]": 0})
    learner.train_from_iterator(
        texts, trainers.WordPieceTrainer(vocab_size=size, special_tokens=given, show_progress=False)
    )
    tokenizer = _word_pieces(learner.get_vocab())
    tokenizer.add_special_tokens(_SPECIALS)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return tokenizer


def _word_pieces(vocab: dict[str, int]) -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer

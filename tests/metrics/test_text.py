import json
import math

import numpy as np
import pytest

from molfusion.metrics import text

VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "cat", "sat", "on", "mat", "man", "men", "ran", "##s", "acid", "."]


@pytest.fixture
def scibert(tmp_path):
    """A WordPiece vocabulary as SciBERT's folder holds it."""
    folder = tmp_path / "scibert_uncased"
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n")
    return str(folder)


@pytest.fixture
def llama(tmp_path):
    """A byte-pair vocabulary with word-boundary marks, as Llama's tokenizer.json holds it."""
    pieces = ["<unk>", "▁", "c", "a", "t", "m", "▁c", "at", "▁cat", "▁m", "▁mat"]
    merges = [["▁", "c"], ["a", "t"], ["▁c", "at"], ["▁", "m"], ["▁m", "at"]]
    folder = tmp_path / "llama"
    folder.mkdir()
    (folder / "tokenizer.json").write_text(json.dumps({
        "version": "1.0",
        "added_tokens": [],
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
        "pre_tokenizer": None, "post_processor": None, "decoder": None,
        "model": {"type": "BPE", "vocab": {p: i for i, p in enumerate(pieces)}, "merges": merges, "unk_token": "<unk>"},
    }))  # fmt: skip
    return str(folder)


def test_by_hand(scibert):
    """BLEU: 4 of 5 words, 2 of 4 pairs. METEOR: 4 matches in 3 chunks (the
    last "the" takes the only one there is). ROUGE-L: 4 of 5, both ways."""
    found = text.scores(["the cat sat the mat"], ["the cat sat on mat"], scibert, truncation=None)
    assert found["BLEU-2@scibert_uncased"] == pytest.approx(100 * math.sqrt(4 / 5 * 2 / 4))
    assert found["BLEU-4@scibert_uncased"] < 1e-60  # no four words in a row
    assert found["METEOR@scibert_uncased"] == pytest.approx(100 * 0.8 * (1 - 0.5 * (3 / 4) ** 3))
    assert found["ROUGE-1"] == found["ROUGE-L"] == pytest.approx(80)
    assert found["ROUGE-2"] == pytest.approx(50)


def test_irregular_plural_matches_by_wordnet(scibert):
    """Two words match as they stand and one by its base form: all one chunk."""
    found = text.scores(["the men ran"], ["the man ran"], scibert, truncation=None)
    assert found["METEOR@scibert_uncased"] == pytest.approx(100 * (1 - 0.5 * (1 / 3) ** 3))


def test_empty_prediction_scores_nothing_and_counts_in_bleu(scibert):
    """nltk counts at least one n-gram of each order a text: 1/2 of the words match, and the whole is half as long."""
    both = text.scores(["cat", ""], ["cat", "mat"], scibert, truncation=None)
    assert both["BLEU-2@scibert_uncased"] < 1e-60
    assert both["METEOR@scibert_uncased"] == pytest.approx(25)  # (0.5 + 0) / 2
    four = text.scores(["the cat sat on", ""], ["the cat sat on", "mat"], scibert, truncation=None)
    shorter = math.exp(1 - 5 / 4)
    assert four["BLEU-2@scibert_uncased"] == pytest.approx(100 * shorter * math.sqrt(4 / 5 * 3 / 4))


def test_marks_are_no_words(scibert):
    assert text.pieces(["[CLS] the cats [SEP]", ""], scibert) == [["the", "cat", "##s"], []]


def test_another_tokenizer_is_another_number_with_another_name(scibert, llama):
    said, wanted = ["cat mat", "mat"], ["cat cat", "mat"]
    assert text.pieces(["cat mat"], llama) == [["▁cat", "▁mat"]]
    names = {name for t in (scibert, llama) for name in text.scores(said, wanted, t)}
    assert {"BLEU-2@scibert_uncased:512", "BLEU-2@llama:512", "METEOR@llama:512", "ROUGE-L"} <= names


def test_truncation_is_applied_and_named(scibert):
    said, wanted = ["the cat sat ."], ["the cat ran ."]
    assert text.scores(said, wanted, scibert, 2)["BLEU-2@scibert_uncased:2"] == pytest.approx(100)
    assert text.scores(said, wanted, scibert)["BLEU-2@scibert_uncased:512"] < 70


def test_each_text_by_itself_averages_to_the_whole():
    said, wanted = ["It is an acid.", "It is a base.", ""], ["It is an ester.", "It is a base.", "It is a salt."]
    whole, each = text.scores(said, wanted), text.each(said, wanted)
    for name, values in each.items():
        assert len(values) == 3
        assert whole[name] == pytest.approx(values.mean())
    assert np.argmax(each["METEOR@molfusion:512"]) == 1


@pytest.mark.parametrize(("said", "wanted"), [(["a"], ["a", "b"]), ([], [])])
def test_nothing_to_compare_is_refused(said, wanted):
    with pytest.raises(ValueError, match="expected one for each"):
        text.scores(said, wanted)
    with pytest.raises(ValueError, match="expected one for each"):
        text.each(said, wanted)
